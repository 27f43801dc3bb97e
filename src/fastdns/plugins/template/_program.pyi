from collections.abc import Sequence

from fastdns.plugins.template.program import Instruction, Piece

class NativeProgram:
    def __init__(
        self,
        code: list[Instruction],
        constants: list[bytes | bool | int | None],
        names: list[bytes],
        formats: Sequence[Sequence[Piece]],
    ) -> None: ...
