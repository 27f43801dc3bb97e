"""The text of a message's field "extra", split into its pieces as CoreDNS splits it."""

from __future__ import annotations

from dataclasses import dataclass

# Of a query. What CoreDNS knows only of a reply is always EMPTY here, as it is there.
LABELS = (
    "{type}", "{name}", "{class}", "{proto}", "{size}", "{remote}", "{port}", "{local}", "{>id}", "{>opcode}",
    "{>do}", "{>bufsize}",
)  # fmt: skip
UNKNOWN = ("{rcode}", "{rsize}", "{duration}", "{>rflags}")
VALUE = "{/"
EMPTY = "-"


@dataclass(frozen=True, slots=True)
class Piece:
    """label: one of LABELS; or value: the name of one; or else literal."""

    label: str = ""
    value: str = ""
    literal: str = ""


def pieces(text: str) -> tuple[Piece, ...]:
    """The pieces of a text. A closing brace belongs to the last opening one before it."""
    found: list[Piece] = []
    literal = ""
    at = 0
    while (end := text.find("}", at) + 1) > 0:
        start = max(text.rfind("{", at, end), at)
        word = text[start:end]
        made = None
        if word in LABELS:
            made = Piece(label=word)
        elif word.startswith(VALUE) and len(word) > len(VALUE) + 1:
            made = Piece(value=word[len(VALUE) : -1])
        elif word in UNKNOWN or word.startswith(VALUE):
            made = Piece(literal=EMPTY)
        if made is None:
            literal += text[at:end]
        else:
            literal += text[at:start]
            found += [Piece(literal=literal), made] if literal else [made]
            literal = ""
        at = end
    literal += text[at:]
    return (*found, Piece(literal=literal)) if literal else tuple(found)


def values_of(text: tuple[Piece, ...]) -> tuple[str, ...]:
    """The names of the values that a text shows."""
    return tuple(piece.value for piece in text if piece.value)
