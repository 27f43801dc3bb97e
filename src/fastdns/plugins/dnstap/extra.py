"""The text of a message's field "extra", split into its pieces as CoreDNS splits it."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.plugins.placeholders import placeholders

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
    """The pieces of a text."""
    found: list[Piece] = []
    literal = ""
    for before, word in placeholders(text):
        literal += before
        if word in LABELS:
            made = Piece(label=word)
        elif word.startswith(VALUE) and word != VALUE + "}":
            made = Piece(value=word[len(VALUE) : -1])
        else:
            literal += EMPTY if word in UNKNOWN or word.startswith(VALUE) else word
            continue
        found += [Piece(literal=literal), made] if literal else [made]
        literal = ""
    return (*found, Piece(literal=literal)) if literal else tuple(found)


def values_of(text: tuple[Piece, ...]) -> tuple[str, ...]:
    """The names of the values that a text shows."""
    return tuple(piece.value for piece in text if piece.value)
