"""Text to tokens. What separates, quotes and comments is CoreDNS's, quirks included.

* Whitespace separates tokens; a carriage return is not there at all, neither is a leading byte order mark.
* ``"`` opens a quoted token at the start of a token only. In it ``\\"`` is a quote, every other backslash
  is itself, and newlines are kept. A quote that nothing closes reaches to the end of the text.
* ``#`` hides what follows up to the end of the line. Glued to a token it ends that token, and then hides
  only up to the next whitespace: in ``foo#bar baz`` the tokens are ``foo`` and ``baz``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

BYTE_ORDER_MARK = "\ufeff"
# Go's unicode.IsSpace; str.isspace() would add the separators U+001C to U+001F.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SPACES = re.compile(f"[{_SPACE}]+")
_COMMENT = re.compile(r"#[^\n]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)("|\\?\Z)', re.DOTALL)
_WORD = re.compile(f"[^#{_SPACE}](?:[^#{_SPACE}]|\r)*")
_GLUED_COMMENT = re.compile(f"#(?:[^{_SPACE}]|\r)*")


class Token(NamedTuple):
    """A word and where it stands.

    line is that of its first character, end_line that of its last; they differ in quoted words only.
    expansion numbers the import that brought the token in; 0 is the Corefile itself. Two tokens stand on one
    line only if their expansions agree: a snippet imported twice has the same lines twice.
    """

    text: str
    file: str
    line: int
    end_line: int
    expansion: int = 0

    def on_line_of(self, before: Token) -> bool:
        """Whether this token continues the line on which ``before``, the token before it, ends."""
        return self.expansion == before.expansion and self.line == before.end_line


def tokenize(text: str, file: str) -> Iterator[Token]:
    """Yields the tokens of text; ``file`` is only noted in them. Takes any text, and time linear in it."""
    at = len(BYTE_ORDER_MARK) if text.startswith(BYTE_ORDER_MARK) else 0
    line = 1
    while at < len(text):
        if skipped := _SPACES.match(text, at) or _COMMENT.match(text, at):
            line += skipped[0].count("\n")
            at = skipped.end()
        elif quoted := _QUOTED.match(text, at):
            end_line = line + quoted[1].count("\n")
            if quoted[1] or quoted[2] == '"':
                yield Token(quoted[1].replace('\\"', '"'), file, line, end_line)
            line = end_line
            at = quoted.end()
        elif word := _WORD.match(text, at):
            yield Token(word[0].replace("\r", ""), file, line, line)
            glued = _GLUED_COMMENT.match(text, word.end())
            at = glued.end() if glued else word.end()
