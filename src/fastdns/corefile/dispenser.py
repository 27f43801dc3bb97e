"""Dispenser: the tokens of one directive, handed out with a notion of lines and blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fastdns.corefile.lexer import Token
from fastdns.corefile.mistakes import Mistakes
from fastdns.errors import CorefileError


class Dispenser:
    """All occurrences of a directive in one server block, concatenated; it stands before the first token.

    The methods that move return whether they did. Every error carries the place of the current token.
    removed_options: those that the plugin once had, and what to do instead.
    """

    def __init__(
        self,
        plugin: str,
        tokens: Sequence[Token],
        file: str = "Corefile",
        mistakes: Mistakes | None = None,
        removed_options: Mapping[str, str] | None = None,
    ) -> None:
        self.plugin = plugin
        self.removed_options = removed_options or {}
        # Of its options: the others are read all the same where mistakes are kept.
        self.mistakes = mistakes or Mistakes()
        self._tokens = tokens
        self._file = file
        self._at = -1
        self._depth = 0
        # How many arguments the option has to have for its block to end on its line; None: it may not.
        self.ends_after: int | None = None

    @property
    def text(self) -> str:
        """The current token's text, or "" before the first."""
        return self._tokens[self._at].text if self._at >= 0 else ""

    @property
    def file(self) -> str:
        """The file of the current token."""
        return self._tokens[self._at].file if self._at >= 0 else self._file

    @property
    def line(self) -> int:
        """The line of the current token, from 1; 0 before the first."""
        return self._tokens[self._at].line if self._at >= 0 else 0

    def next(self) -> bool:
        """Moves to the next token, wherever it stands."""
        if self._at + 1 >= len(self._tokens):
            return False
        self._at += 1
        return True

    def next_arg(self) -> bool:
        """Moves to the next token if it stands on the same line."""
        return self._next_on_line() and self.next()

    def next_line(self) -> bool:
        """Moves to the next token if it stands on another line."""
        return not self._next_on_line() and self.next()

    def next_block(self) -> bool:
        """Enters the block that opens on this line, or moves on inside it; False once it has ended."""
        if self._depth == 0:
            if not self._next_on_line() or self._tokens[self._at + 1].text != "{":
                return False
            self.next()
            self._depth = 1
        if not self.next() or self.text == "}":
            self._depth = 0
            return False
        return True

    def ends_with_line(self) -> bool:
        """Passes over what is left of a line behind a mistake; whether the block has ended in it."""
        while self.text != "}" and self._next_on_line() and self.next():
            pass
        if self.text == "}":
            self._depth = 0
        return self._depth == 0

    def remaining_args(self) -> list[str]:
        """What is left of the line, up to a ``{``, or to a ``}`` where the option may end its block."""
        args: list[str] = []
        while self._next_on_line() and self._tokens[self._at + 1].text != "{":
            ends = self._tokens[self._at + 1].text == "}"
            if ends and self.ends_after is not None and len(args) >= self.ends_after:
                break
            self.next()
            if ends:
                raise self.error("unexpected '}': it has to stand on a line of its own")
            args.append(self.text)
        return args

    def occurrences(self, *, once: bool = False) -> Iterator[None]:
        """Stands on the directive's name, one occurrence after the other. once: a second one is an error.

        What an occurrence leaves unread is an error, too.
        """
        seen = False
        while self.next():
            if self.text == "{":
                raise self.error(f"{self.plugin} takes no options")
            if self.text != self.plugin:
                raise self.error(f"unexpected {self.text!r}")
            if seen and once:
                raise self.error(f"{self.plugin} may be used only once in a server block")
            seen = True
            yield

    def error(self, message: str) -> CorefileError:
        """The error to raise for the current token."""
        return CorefileError(message, self.file, self.line, self.plugin)

    def arg_error(self, expected: str) -> CorefileError:
        """The error for a wrong number of arguments: what was expected after the current token."""
        return self.error(f"wrong argument count or end of line after {self.text!r}, expected {expected}")

    def _next_on_line(self) -> bool:
        after = self._at + 1
        if self._at < 0 or after >= len(self._tokens):
            return self._at < 0 < len(self._tokens)
        return self._tokens[after].on_line_of(self._tokens[self._at])
