"""The words of a template: Go's delimiters, names, strings and numbers (text/template/parse, lex.go)."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from fastdns.plugins.template.tree import Number, TemplateError, quoted

KEYWORDS = frozenset((
    "block", "break", "continue", "define", "else", "end", "if", "range", "nil", "template", "with",
))  # fmt: skip
SPACES = " \t\r\n"


# --------------------------------------------------------------------------------------------------- strings


_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)


def unquoted(text: str) -> bytes:
    """What a Go string, or a character constant, says: strconv.Unquote. Raises TemplateError."""
    quote, inner = text[0], text[1:-1]
    if quote == "`":
        return encoded(inner.replace("\r", ""))
    said = bytearray()
    at = 0
    while at < len(inner):
        if inner[at] != "\\":
            said += encoded(inner[at])
            at += 1
            continue
        match = _ESCAPE.match(inner, at)
        if match is None:
            raise TemplateError("invalid syntax")
        at = match.end()
        byte, short, long, octal, letter = match.groups()
        if byte or octal:
            value = int(byte, 16) if byte else int(octal, 8)
            if value > 255:
                raise TemplateError("invalid syntax")
            said.append(value)
        elif short or long:
            code = int(short or long, 16)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise TemplateError("invalid syntax")
            said += chr(code).encode()
        elif letter == quote:
            said += quote.encode()
        elif letter in _ESCAPES:
            said.append(_ESCAPES[letter])
        else:
            raise TemplateError("invalid syntax")
    return bytes(said)


def encoded(text: str) -> bytes:
    """The bytes of a part of a Corefile."""
    return text.encode("utf-8", "surrogateescape")


# ---------------------------------------------------------------------------------------------------- numbers


_INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|[1-9](?:_?[0-9])*|0)", re.ASCII
)
_DECIMAL = re.compile(
    r"[+-]?(?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9]+)?", re.ASCII
)
_HEX_FLOAT = re.compile(r"[+-]?0[xX][0-9a-fA-F_]*\.?[0-9a-fA-F_]*[pP][+-]?[0-9]+", re.ASCII)


def number(text: str) -> Number:
    """Raises TemplateError for what Go does not take as a number."""
    if text.startswith("'"):
        said = unquoted(text).decode("utf-8", "replace")
        if len(said) != 1:
            raise TemplateError(f"malformed character constant: {text}")
        return Number(text, ord(said), ord(said), float(ord(said)), False)
    if text.endswith("i"):
        raise TemplateError(f"complex numbers are not served: {text!r}")
    integer = _to_integer(text)
    if integer is not None and not -(2**63) <= integer < 2**64:
        raise TemplateError(f"integer overflow: {quoted(text)}")
    real = float(integer) if integer is not None else _to_float(text)
    if integer is None and real is None:
        raise TemplateError(f"illegal number syntax: {quoted(text)}")
    is_float = integer is None
    if integer is None and real is not None and real.is_integer():
        # Where an integer is asked for, 1e3 is one.
        integer = int(real)
    signed = integer if integer is not None and -(2**63) <= integer < 2**63 else None
    unsigned = integer if integer is not None and 0 <= integer < 2**64 and text[0] not in "+-" else None
    return Number(text, signed, unsigned, real, is_float)


def _to_integer(text: str) -> int | None:
    if not _INTEGER.fullmatch(text):
        return None
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-").replace("_", "").lower()
    if digits.startswith("0") and digits.isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _to_float(text: str) -> float | None:
    if _DECIMAL.fullmatch(text):
        value = float(text.replace("_", ""))
    elif _HEX_FLOAT.fullmatch(text):
        try:
            value = float.fromhex(text.replace("_", ""))
        except (ValueError, OverflowError):
            return None
    else:
        return None
    return None if value in (float("inf"), float("-inf")) else value


# ------------------------------------------------------------------------------------------------------- words


# What may stand behind a name.
_TERMINATORS = (*SPACES, ".", ",", "|", ":", ")", "(")
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*|0[bB][01_]*"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?",
    re.ASCII,
)
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_CHARACTER = re.compile(r"'(?:[^'\\\n]|\\[^\n])*'")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of the text. kind: text, left, right, space, number, string, a keyword, …"""

    kind: str
    text: str

    def __str__(self) -> str:
        if self.kind == "end of text":
            return "EOF"
        return f"<{self.text}>" if self.kind in KEYWORDS else quoted(self.text)


def is_letter(character: str) -> bool:
    """Whether it may be part of a name."""
    return character == "_" or character.isalpha() or character.isdecimal()


def words(text: str) -> Iterator[Word]:
    """The words of a template. Raises TemplateError as it comes to what is none."""
    at = 0
    trim = False
    while True:
        left = text.find("{{", at)
        between = text[at:] if left < 0 else text[at:left]
        if trim:
            between = between.lstrip(SPACES)
        inside = left + 2
        trims = left >= 0 and text[inside : inside + 1] == "-" and text[inside + 1 : inside + 2] in tuple(SPACES)
        if trims:
            between = between.rstrip(SPACES)
            inside += 2
        if between:
            yield Word("text", between)
        if left < 0:
            yield Word("end of text", "")
            return
        if text.startswith("/*", inside):
            at, trim = _comment(text, inside)
            continue
        yield Word("left", "{{")
        at, trim = yield from _action(text, inside)


def _right(text: str, at: int) -> tuple[int, bool] | None:
    """Where the text goes on behind a right delimiter that stands here, and whether it trims."""
    if text[at : at + 1] in tuple(SPACES) and text.startswith("-}}", at + 1):
        return at + 4, True
    return (at + 2, False) if text.startswith("}}", at) else None


def _comment(text: str, at: int) -> tuple[int, bool]:
    end = text.find("*/", at + 2)
    if end < 0:
        raise TemplateError("unclosed comment")
    right = _right(text, end + 2)
    if right is None:
        raise TemplateError("comment ends before closing delimiter")
    return right


def _action(text: str, at: int) -> Generator[Word, None, tuple[int, bool]]:
    """The words of one action; returns where the text goes on, and whether it is trimmed."""
    depth = 0
    while True:
        right = _right(text, at)
        if right is not None:
            if depth:
                raise TemplateError("unclosed left paren")
            yield Word("right", "}}")
            return right
        if at >= len(text):
            raise TemplateError("unclosed action")
        one = text[at]
        if one in SPACES:
            end = at
            while end < len(text) and text[end] in SPACES and _right(text, end) is None:
                end += 1
            if end > at:
                yield Word("space", " ")
            at = end
            continue
        word = _word(text, at)
        depth += (word.kind == "(") - (word.kind == ")")
        if depth < 0:
            raise TemplateError("unexpected right paren")
        yield word
        at += len(word.text)


def _word(text: str, at: int) -> Word:
    one = text[at]
    if one in "=|()":
        return Word(one, one)
    if one == ":":
        if not text.startswith(":=", at):
            raise TemplateError("expected :=")
        return Word(":=", ":=")
    if one == '"':
        return _matched("string", _QUOTED, text, at, "unterminated quoted string")
    if one == "'":
        return _matched("number", _CHARACTER, text, at, "unterminated character constant")
    if one == "`":
        end = text.find("`", at + 1)
        if end < 0:
            raise TemplateError("unterminated raw quoted string")
        return Word("string", text[at : end + 1])
    if one in "+-0123456789" or (one == "." and text[at + 1 : at + 2] in tuple("0123456789")):
        return _number(text, at)
    if one in "$." or is_letter(one):
        return _name(text, at)
    if one.isascii() and one.isprintable():
        return Word(one, one)
    raise TemplateError(f"unrecognized character in action: U+{ord(one):04X} {one!r}")


def _matched(kind: str, pattern: re.Pattern[str], text: str, at: int, missing: str) -> Word:
    match = pattern.match(text, at)
    if match is None:
        raise TemplateError(missing)
    return Word(kind, match.group())


def _number(text: str, at: int) -> Word:
    match = _NUMBER.match(text, at)
    said = match.group() if match else ""
    behind = text[at + len(said) : at + len(said) + 1]
    if not said or (behind and (is_letter(behind) or behind in "+-")):
        raise TemplateError(f"bad number syntax: {quoted(said + behind)}")
    return Word("number", said)


def _name(text: str, at: int) -> Word:
    end = at + 1
    while end < len(text) and is_letter(text[end]):
        end += 1
    said = text[at:end]
    if end < len(text) and text[end] not in _TERMINATORS and not text.startswith("}}", end):
        raise TemplateError(f"bad character U+{ord(text[end]):04X} {text[end]!r}")
    if said[0] == ".":
        return Word("." if said == "." else "field", said)
    if said[0] == "$":
        return Word("variable", said)
    if said in KEYWORDS:
        return Word(said, said)
    return Word("bool" if said in ("true", "false") else "name", said)
