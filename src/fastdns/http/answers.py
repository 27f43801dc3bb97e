"""Requests and answers of an HTTP server, as handlers have them. They do not import the protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """headers: by lowercased name. query: what stands behind the ``?`` of the target. gone: whether the peer has
    closed its side: what takes long need not go on.
    """

    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    gone: Callable[[], bool] = field(default=lambda: False, compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to a request. content_encoding: of the body, as of RFC 9110 section 8.4; empty: none."""

    body: bytes
    status: int = 200
    content_type: str = PLAIN
    content_encoding: str = ""


Handler = Callable[[Request], Awaitable[Answer]]


def text(body: str, status: int = 200) -> Answer:
    """A plain text answer."""
    return Answer(body.encode(), status)
