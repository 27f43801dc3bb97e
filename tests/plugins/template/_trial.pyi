from collections.abc import Sequence

from fastdns.plugins.template._program import NativeProgram

def run(
    program: NativeProgram,
    fields: Sequence[bytes | int],
    names: Sequence[str],
    offsets: Sequence[int],
    keys: list[bytes],
) -> bytes | None: ...
