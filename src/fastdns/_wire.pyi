from typing import Any

def parse_query(message: bytes) -> tuple[str, dict[str, Any]]: ...
def build_reply(
    message: bytes,
    *,
    rcode: int = 0,
    aa: bool = False,
    answer: list[tuple[bytes | None, int, int, bytes, bytes | None, bytes, bool]] = ...,
    authority: list[tuple[bytes | None, int, int, bytes, bytes | None, bytes, bool]] = ...,
    additional: list[tuple[bytes | None, int, int, bytes, bytes | None, bytes, bool]] = ...,
    max_bytes: int = 65535,
) -> bytes | None: ...
