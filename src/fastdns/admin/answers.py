"""What is asked over HTTP, and what is said. Apart from the protocol, which nobody needs before somebody asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. headers: by lowercased name."""

    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say."""

    body: bytes
    status: int = 200
    content_type: str = PLAIN


Handler = Callable[[Request], Awaitable[Answer]]


def text(body: str, status: int = 200) -> Answer:
    """A plain text answer."""
    return Answer(body.encode(), status)
