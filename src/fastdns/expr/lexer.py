"""An expression's text to tokens, as expr-lang splits it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastdns.expr.errors import ExprError

NUMBER, STRING, NAME, OPERATOR, BRACKET, END = "number", "string", "name", "operator", "bracket", "end"
# Names that are operators.
WORDS = {"not", "in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else"}
_SPACE = re.compile(r"\s+|//[^\n]*|/\*.*?\*/", re.DOTALL)
_NUMBER = re.compile(
    r"0[xX][0-9a-fA-F_]*|0[oO][0-7_]*|0[bB][01_]*"
    r"|(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]*)?"
)
_NAME = re.compile(r"(?:[^\W\d]|\$)[\w$]*")
_QUOTED = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\"""", re.DOTALL)
_RAW = re.compile(r"`((?:[^`]|``)*)`")
_OPERATOR = re.compile(r"\?\.|\?\?|\|\||&&|==|!=|<=|>=|\*\*|\.\.|::|[-+*/%^?:|<>!=,;.#]")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"} | {c: c for c in "\\'\"`?"}
_ESCAPE = re.compile(
    r"\\(?:[xX]([0-9a-fA-F]{2})|u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})"
    r"|([abfnrtv\\'\"`?]))",
)


@dataclass(frozen=True, slots=True)
class Token:
    """kind; text: of a string, what it says. at: where it begins."""

    kind: str
    text: str
    at: int

    def is_operator(self, *texts: str) -> bool:
        """Whether it is one of these operators; of any where none is given."""
        return self.kind == OPERATOR and (not texts or self.text in texts)

    def is_bracket(self, text: str) -> bool:
        """Whether it is this bracket."""
        return self.kind == BRACKET and self.text == text


def tokens(text: str) -> list[Token]:
    """The tokens; the last one is the END. Raises ExprError."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        if space := _SPACE.match(text, at):
            at = space.end()
            continue
        token, at = _token(text, at)
        found.append(token)
    return [*found, Token(END, "", len(text))]


def _token(text: str, at: int) -> tuple[Token, int]:
    first = text[at]
    if text.startswith("/*", at):
        raise ExprError("unclosed comment", at)
    if first in "bB" and text[at + 1 : at + 2] in ("'", '"'):
        raise ExprError("bytes are not supported; use a string", at)
    if first in "'\"":
        if not (quoted := _QUOTED.match(text, at)):
            raise ExprError("literal not terminated", at)
        return Token(STRING, unescaped(quoted[0][1:-1], at), at), quoted.end()
    if first == "`":
        if not (raw := _RAW.match(text, at)):
            raise ExprError("literal not terminated", at)
        return Token(STRING, raw[1].replace("``", "`"), at), raw.end()
    if number := _NUMBER.match(text, at):
        if _NAME.match(text, number.end()):
            raise ExprError(f"bad number syntax: {text[at : number.end() + 1]!r}", at)
        return Token(NUMBER, number[0], at), number.end()
    if name := _NAME.match(text, at):
        return Token(OPERATOR if name[0] in WORDS else NAME, name[0], at), name.end()
    if first in "([{)]}":
        return Token(BRACKET, first, at), at + 1
    if operator := _OPERATOR.match(text, at):
        return Token(OPERATOR, operator[0], at), operator.end()
    raise ExprError(f"unrecognized character: {first!r}", at)


def unescaped(text: str, at: int) -> str:
    """What stands between quotes. Raises ExprError for an escape that there is not."""

    def one(match: re.Match[str]) -> str:
        *numbers, octal, simple = match.groups()
        if simple is not None:
            return _SIMPLE[simple]
        code = int(octal, 8) if octal is not None else int(next(n for n in numbers if n is not None), 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ExprError("unable to unescape string", at)
        return chr(code)

    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\\" in _ESCAPE.sub("", text):
        raise ExprError("unable to unescape string", at)
    return _ESCAPE.sub(one, text)
