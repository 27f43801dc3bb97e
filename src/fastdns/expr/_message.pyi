from collections.abc import Mapping
from typing import Any

from fastdns.expr._program import Program

class MessageRun:
    def __init__(
        self,
        message: bytes,
        *,
        client: bytes = ...,
        client_port: int = 5353,
        stream: bool = False,
        server: bytes = ...,
        server_port: int = 53,
        values: Mapping[str, str] | None = None,
    ) -> None: ...
    def give(self, value: Any) -> None: ...
    def evaluate(self, program: Program, *, keep: bool = False) -> tuple[Any] | None: ...
