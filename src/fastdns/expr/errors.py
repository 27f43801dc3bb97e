"""What is wrong with an expression, and where."""

from __future__ import annotations

from fastdns.errors import FastdnsError


class ExprError(FastdnsError):
    """An expression cannot be compiled. at: the character that it is about, from 0."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class UnsupportedError(ExprError):
    """It is an expression, but not one that is compiled here."""
