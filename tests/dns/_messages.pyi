from collections.abc import Sequence
from typing import Any, TypeAlias

# owner, type, TTL in seconds, fixed rdata, name in it, rest of it, whether the name may be compressed.
_Record: TypeAlias = tuple[bytes | None, int, int, bytes, bytes | None, bytes, bool]

def parse_query(message: bytes) -> tuple[str, dict[str, Any]]: ...
def build_reply(
    message: bytes,
    *,
    rcode: int = 0,
    aa: bool = False,
    answer: Sequence[_Record] = (),
    authority: Sequence[_Record] = (),
    additional: Sequence[_Record] = (),
    max_bytes: int = 65535,
) -> bytes | None: ...
def copy_reply(query: bytes, reply: bytes, *, ttl_s: int | None = None, max_bytes: int = 65535) -> bytes | None: ...
