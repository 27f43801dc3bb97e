"""The placeholders of a text, ``{name}``, found as CoreDNS finds them in formats of lines and messages."""

from __future__ import annotations

from collections.abc import Iterator


def placeholders(text: str) -> Iterator[tuple[str, str]]:
    """What stands before a closing brace, and what it closes; at last the rest, and nothing.

    A closing brace is paired with the last opening one before it, so ``{ {name} }`` has one placeholder. What
    none opens is given as it is: ``name}``.
    """
    at = 0
    while (end := text.find("}", at) + 1) > 0:
        start = max(text.rfind("{", at, end), at)
        yield text[at:start], text[start:end]
        at = end
    yield text[at:], ""
