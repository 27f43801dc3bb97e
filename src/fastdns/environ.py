"""Settings that come from environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastdns.errors import FastdnsError


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number from low to high. default: used if the variable is not set or empty."""

    name: str
    default: int
    high: int
    low: int = 1

    def of(self, environ: Mapping[str, str]) -> int:
        """The value. Raises FastdnsError that names the variable and its range."""
        text = environ.get(self.name, "")
        if not text:
            return self.default
        if not text.isdecimal() or not self.low <= int(text) <= self.high:
            raise FastdnsError(f"{self.name} must be {self.low} to {self.high}, got {text!r}")
        return int(text)
