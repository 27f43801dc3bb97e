"""Tokens to server blocks: which keys, and the tokens of each directive. Options are read elsewhere.

* Keys stand before ``{``, separated by spaces or trailing commas; a comma may carry on to the next line. The
  ``{`` of a block may open the next line, that of a directive may not.
* The one block of a file may do without braces; its directives then reach to the end.
* ``(NAME) { … }`` declares a snippet. ``import`` at the start of a line is replaced by what it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fastdns.corefile.imports import Importer
from fastdns.corefile.lexer import Token, tokenize
from fastdns.corefile.mistakes import Mistakes
from fastdns.corefile.removed import DIRECTIVES, removed
from fastdns.corefile.values import clean, substitute
from fastdns.errors import CorefileError


class Directives(Protocol):
    """The names that may begin a line of a server block."""

    def __contains__(self, name: object) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...


@dataclass(slots=True)
class RawBlock:
    """A server block as it was written: its keys, and of each directive all tokens in the block, in order."""

    keys: list[Token] = field(default_factory=list)
    directives: dict[str, list[Token]] = field(default_factory=dict)


@dataclass(slots=True)
class RawCorefile:
    """What was read: blocks with at least one key, the paths of imported files, and warnings."""

    blocks: list[RawBlock]
    files: list[str]
    warnings: list[str]


def parse(
    text: str, file: str, environ: Mapping[str, str], directives: Directives, mistakes: Mistakes | None = None
) -> RawCorefile:
    """Raises CorefileError for broken grammar, imports that fail, and names outside ``directives``.

    Where mistakes are kept, a name outside is passed over with its options, and broken grammar ends what is read.
    """
    return _Parser(text, file, environ, directives, mistakes or Mistakes()).parse()


class _Parser:
    def __init__(
        self, text: str, file: str, environ: Mapping[str, str], directives: Directives, mistakes: Mistakes
    ) -> None:
        self._file = file
        self._mistakes = mistakes
        self._environ = dict(environ)
        self._known = directives
        self._importer = Importer(self._environ)
        # What is still to come, the next token last, so that an import costs what it brings in.
        self._coming = list(tokenize(clean(text), file))
        self._coming.reverse()
        self._last: Token | None = None

    def parse(self) -> RawCorefile:
        blocks = []
        with self._mistakes.noted():
            while self._coming:
                block = self._block()
                if block is not None and block.keys:
                    blocks.append(block)
        return RawCorefile(blocks, self._importer.files, self._importer.warnings)

    # Tokens

    def _peek(self) -> Token | None:
        return self._coming[-1] if self._coming else None

    def _take(self) -> Token:
        self._last = self._coming.pop()
        return self._last

    def _opens_line(self, token: Token) -> bool:
        return self._last is None or not token.on_line_of(self._last)

    def _value(self, token: Token) -> str:
        return substitute(token.text, self._environ)

    def _error(self, message: str, token: Token | None = None) -> CorefileError:
        at = token or self._last
        return CorefileError(message, at.file, at.line) if at else CorefileError(message, self._file, 1)

    # Blocks

    def _block(self) -> RawBlock | None:
        block = RawBlock(self._keys())
        names = [key.text for key in block.keys]
        if len(names) == 1 and names[0].startswith("(") and names[0].endswith(")"):
            self._snippet(names[0][1:-1], block.keys[0])
            return None
        opening = self._peek()
        if opening is None:
            return block
        braces = opening.text == "{"
        if braces:
            self._take()
            if not block.keys:
                self._importer.warnings.append(
                    f"{opening.file}:{opening.line} - a server block without a zone is ignored"
                )
        self._directives(block, opening if braces else None)
        return block

    def _keys(self) -> list[Token]:
        keys: list[Token] = []
        comma = False
        started = False
        while token := self._peek():
            opens_line = self._opens_line(token)
            if started and opens_line and not comma:
                return keys
            text = self._value(token)
            if text == "import" and opens_line:
                self._import()
                continue
            if text == "{":
                if comma:
                    raise self._error("a zone is expected after the comma, got '{'", token)
                return keys
            if text == "}":
                raise self._error("unexpected '}': no '{' is open", token)
            started = True
            self._take()
            if text:
                comma = text.endswith(",")
                keys.append(token._replace(text=text[:-1] if comma else text))
        if comma:
            raise self._error("a zone is expected after the comma, got the end of the file")
        return keys

    def _snippet(self, name: str, declared: Token) -> None:
        opening = self._peek()
        if opening is None or opening.text != "{":
            raise self._error(f"snippet {name!r} needs a block in braces", declared)
        self._take()
        tokens: list[Token] = []
        depth = 1
        while self._coming:
            token = self._take()
            depth += (token.text == "{") - (token.text == "}")
            if depth == 0:
                self._importer.define(name, tokens, declared)
                return
            tokens.append(token)
        raise self._error(f"snippet {name!r} has no closing '}}'", declared)

    def _directives(self, block: RawBlock, opening: Token | None) -> None:
        while token := self._peek():
            if token.text == "}":
                self._take()
                if opening is None:
                    raise self._error("unexpected '}': no '{' is open")
                return
            if token.text == "import":
                self._import()
            else:
                self._directive(block)
        if opening is not None:
            raise self._error("a server block has no closing '}'", opening)

    def _directive(self, block: RawBlock) -> None:
        first = self._take()
        name = self._value(first)
        tokens: list[Token] = []
        with self._mistakes.noted():
            if name not in self._known:
                raise self._error(self._unknown(name))
            tokens = block.directives.setdefault(name, tokens)
        tokens.append(first._replace(text=name))
        open_at: list[Token] = []
        closed = False
        while token := self._peek():
            opens_line = self._opens_line(token)
            if token.text == "{" and opens_line and not open_at:
                raise self._error(f"the '{{' of {name} has to stand on the line of {name}", token)
            if opens_line and not open_at:
                return
            if token.text == "import" and opens_line:
                self._import()
                continue
            if closed:
                raise self._error(f"unexpected {token.text!r} after the '}}' of {name}", token)
            if token.text == "{":
                open_at.append(token)
            elif token.text == "}":
                if not open_at:
                    raise self._error("unexpected '}': it has to stand on a line of its own", token)
                open_at.pop()
                closed = not open_at
            self._take()
            tokens.append(token._replace(text=self._value(token)))
        if open_at:
            raise self._error(f"the block of {name} has no closing '}}'", open_at[0])

    def _unknown(self, name: str) -> str:
        import difflib

        near = difflib.get_close_matches(name[:64], list(self._known), n=1)
        hint = removed(DIRECTIVES.get(name)) or (f"; did you mean {near[0]!r}?" if near else "")
        return f"unknown directive {name!r}{hint}"

    def _import(self) -> None:
        self._take()
        argument = self._peek()
        if argument is None or self._opens_line(argument):
            raise self._error("import needs one argument, a snippet or a file")
        self._take()
        extra = self._peek()
        if extra is not None and not self._opens_line(extra):
            raise self._error(f"import takes only one argument, got {extra.text!r} as well", extra)
        self._coming += reversed(self._importer.expand(self._value(argument), argument))
