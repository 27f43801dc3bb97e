from typing import Any

from fastdns.expr import Program

def evaluate(
    program: Program, message: bytes, *, client: bytes = ..., client_port: int = 5353, tcp: bool = False,
    server: bytes = ..., server_port: int = 53,
) -> tuple[Any] | None: ...
