"""One expression over one message, without a server."""

from __future__ import annotations

from typing import Any

from fastdns.expr import Program
from fastdns.expr._message import MessageRun


def evaluate(program: Program, message: bytes, **how: Any) -> tuple[Any] | None:
    """(value,), or None where it fails. how: what MessageRun takes."""
    return MessageRun(message, **how).evaluate(program)
