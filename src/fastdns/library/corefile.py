"""A Corefile as a tree: server blocks, lines and the lines in their braces. Plugins do not matter: any name may
begin a line, so Corefiles of every CoreDNS can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fastdns.corefile.lexer import Token
from fastdns.corefile.parser import parse


@dataclass(frozen=True, slots=True)
class CorefileLine:
    """A directive, or an option of one. lines: those in its braces. file, line: where it stands."""

    name: str
    arguments: tuple[str, ...]
    lines: tuple[CorefileLine, ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class CorefileBlock:
    """A server block. keys: zones with scheme and port, as they are written."""

    keys: tuple[str, ...]
    lines: tuple[CorefileLine, ...]
    file: str
    line: int

    def get(self, name: str) -> CorefileLine | None:
        """The first directive of a name."""
        return next((line for line in self.lines if line.name == name), None)


class _Any:
    """Every name may begin a line."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())


def parse_corefile(
    text: str, file: str = "Corefile", *, environ: Mapping[str, str] | None = None
) -> tuple[CorefileBlock, ...]:
    """The server blocks of a Corefile. Snippets and imported files are put in their places; so are values of
    environ (``{$NAME}``), which is that of this process unless given.

    file: its name in errors, and what imports are relative to. Raises CorefileError, with file and line, for broken
    grammar and for imports that fail.
    """
    raw = parse(text, file, os.environ if environ is None else environ, _Any())
    return tuple(
        CorefileBlock(
            tuple(key.text for key in block.keys),
            tuple(line for tokens in block.directives.values() for line in _lines(tokens)),
            block.keys[0].file,
            block.keys[0].line,
        )
        for block in raw.blocks
    )


def _lines(tokens: Sequence[Token]) -> list[CorefileLine]:
    """Lines of one depth; what braces hold belongs to the line before."""
    lines: list[CorefileLine] = []
    at = 0
    while at < len(tokens):
        first = last = tokens[at]
        words = []
        inner: list[CorefileLine] = []
        while at < len(tokens) and (tokens[at] is first or tokens[at].on_line_of(last)):
            if tokens[at].text == "{":
                end = _closing(tokens, at)
                inner = _lines(tokens[at + 1 : end])
                at = end + 1
                break
            last = tokens[at]
            words.append(last.text)
            at += 1
        name, *arguments = words or [""]
        lines.append(CorefileLine(name, tuple(arguments), tuple(inner), first.file, first.line))
    return lines


def _closing(tokens: Sequence[Token], opening: int) -> int:
    """Where the brace that is opened is closed; the parser has seen to it that it is."""
    depth = 0
    for at in range(opening, len(tokens)):
        depth += (tokens[at].text == "{") - (tokens[at].text == "}")
        if depth == 0:
            return at
    return len(tokens)
