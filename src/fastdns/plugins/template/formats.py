"""How Go prints values: package fmt, for the kinds of values that templates have.

A string is bytes, as in Go. Other kinds: bool, int, Unsigned, float, list, dict (printed in the order of its keys),
Struct, and NO_VALUE for what is not there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

# Of a number that is printed without an exponent, before the point.
MOST_PLACES = 6
# Of a printed value, as a width or a precision.
MAX_WIDTH = 4096


class Unsigned(int):
    """A number whose type in Go has no sign."""


class NoValue:
    """What is not there: a missing key, nil."""


NO_VALUE = NoValue()


class Struct:
    """A value with fields. methods: by name, how many arguments each takes, and the function. text: what its String
    method says."""

    def __init__(
        self,
        kind: str,
        fields: Mapping[str, Any],
        methods: Mapping[str, tuple[int, Any]] | None = None,
        text: bytes | None = None,
    ) -> None:
        self.kind = kind
        self.fields = fields
        self.methods = methods or {}
        self.text = text


class UnprintableError(Exception):
    """A value whose text nobody knows."""


def type_name(value: object) -> bytes:
    """The name of its type in Go."""
    if isinstance(value, Struct):
        return value.kind.encode()
    names: Sequence[tuple[type, bytes]] = (
        (bool, b"bool"), (Unsigned, b"uint64"), (int, b"int"), (float, b"float64"), (bytes, b"string"),
        (list, b"[]string"), (dict, b"map[string]string"), (NoValue, b"<nil>"),
    )  # fmt: skip
    return next(name for kind, name in names if isinstance(value, kind))


# ------------------------------------------------------------------------------------------------------- numbers


def shortest(value: float, verb: str = "g", precision: int = -1) -> bytes:
    """A float with as few digits as say it, and an exponent where it is below 1e-4 or very large."""
    if math.isnan(value):
        return b"NaN"
    if math.isinf(value):
        return b"+Inf" if value > 0 else b"-Inf"
    if verb in "fF":
        return (f"{value:.{6 if precision < 0 else precision}f}").encode()
    if verb in "eE":
        return (f"{value:.{6 if precision < 0 else precision}{verb}}").encode()
    if precision >= 0:
        return (f"{value:.{precision or 1}{verb}}").encode()
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    mantissa, _, exponent = f"{abs(value):.17e}".partition("e")
    for digits in range(17):
        mantissa, _, exponent = f"{abs(value):.{digits}e}".partition("e")
        if float(f"{mantissa}e{exponent}") == abs(value):
            break
    power = int(exponent)
    if value and not -4 <= power < MOST_PLACES:
        text = f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
        return (sign + (text.upper() if verb == "G" else text)).encode()
    places = max(0, len(mantissa.replace(".", "")) - 1 - power)
    return f"{sign}{abs(value):.{places}f}".encode()


# -------------------------------------------------------------------------------------------------------- values


def plain(value: object, *, inside: bool = False) -> bytes:
    """``%v``. inside: as a part of another value."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, float):
        return shortest(value)
    if isinstance(value, list):
        return b"[" + b" ".join(plain(one, inside=True) for one in value) + b"]"
    if isinstance(value, dict):
        return b"map[" + b" ".join(b"%b:%b" % (key, plain(value[key], inside=True)) for key in sorted(value)) + b"]"
    if isinstance(value, Struct):
        if value.text is None:
            raise UnprintableError(value.kind)
        return value.text
    return b"<nil>"


def printed(values: Sequence[object]) -> bytes:
    """``Sprint``: with a space between two values of which neither is a string."""
    said = bytearray()
    for at, value in enumerate(values):
        if at and not isinstance(value, bytes) and not isinstance(values[at - 1], bytes):
            said += b" "
        said += plain(value)
    return bytes(said)


def printed_line(values: Sequence[object]) -> bytes:
    """``Sprintln``"""
    return b" ".join(map(plain, values)) + b"\n"


# -------------------------------------------------------------------------------------------------------- Sprintf


class Directive:
    """``%-08.3x``: flags, width and precision (-1: none), verb."""

    def __init__(self) -> None:
        self.flags = set[int]()
        self.width = -1
        self.precision = -1
        self.verb = ""

    def padded(self, text: bytes, *, zeros: bool = True) -> bytes:
        """Filled up to the width, in characters. zeros: with zeros, where the flag says so."""
        missing = self.width - len(text.decode("utf-8", "surrogateescape"))
        if missing <= 0:
            return text
        if ord("-") in self.flags:
            return text + b" " * missing
        return (b"0" if zeros and ord("0") in self.flags else b" ") * missing + text


def formatted(form: bytes, values: Sequence[object]) -> bytes:
    """``Sprintf``, with Go's notes of what does not fit (``%!d(string=x)``)."""
    said = bytearray()
    at = used = 0
    reordered = False
    while True:
        percent = form.find(b"%", at)
        if percent < 0:
            said += form[at:]
            break
        said += form[at:percent]
        one = Directive()
        at = percent + 1
        while at < len(form) and form[at] in b"+-# 0":
            one.flags.add(form[at])
            at += 1
        at, used, reordered, bad = _argument(form, at, used, len(values), reordered)
        at, used, width_bad = _width(form, at, used, values, one)
        if bad:
            said += b"%!" + form[at : at + 1] + b"(BADINDEX)"
            at += 1
            continue
        if width_bad:
            said += b"%!(BADWIDTH)"
        if at < len(form) and form[at] == ord("."):
            at, used, reordered, bad = _argument(form, at + 1, used, len(values), reordered)
            at, used, precision_bad = _precision(form, at, used, values, one)
            if precision_bad:
                said += b"%!(BADPREC)"
        if not bad:
            at, used, reordered, bad = _argument(form, at, used, len(values), reordered)
        if at >= len(form):
            said += b"%!(NOVERB)"
            break
        verb = form[at:].decode("utf-8", "replace")[0]
        at += len(verb.encode())
        one.verb = verb
        if verb == "%":
            said += b"%"
        elif bad:
            said += b"%!" + verb.encode() + b"(BADINDEX)"
        elif used >= len(values):
            said += b"%!" + verb.encode() + b"(MISSING)"
        else:
            said += directed(one, values[used])
            used += 1
    if not reordered and used < len(values):
        extra = b", ".join(
            type_name(value) + b"=" + plain(value) if not isinstance(value, NoValue) else b"<nil>"
            for value in values[used:]
        )
        said += b"%!(EXTRA " + extra + b")"
    return bytes(said)


def _argument(form: bytes, at: int, used: int, count: int, reordered: bool) -> tuple[int, int, bool, bool]:
    """``[n]``: which value is next, and whether that is none."""
    if form[at : at + 1] != b"[":
        return at, used, reordered, False
    end = form.find(b"]", at)
    if end < 0:
        return at + 1, used, True, True
    digits = form[at + 1 : end]
    if digits.isdigit() and 1 <= int(digits[:9]) <= count:
        return end + 1, int(digits[:9]) - 1, True, False
    return end + 1, used, True, True


def _star(values: Sequence[object], used: int) -> int | None:
    value = values[used] if used < len(values) else None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_WIDTH:
        return int(value)
    return None


def _bounded(digits: bytes) -> int:
    """A width or a precision. Raises UnprintableError where it is too large."""
    number = int(digits[:9])
    if number > MAX_WIDTH:
        raise UnprintableError(f"a width of {number}")
    return number


def _width(form: bytes, at: int, used: int, values: Sequence[object], one: Directive) -> tuple[int, int, bool]:
    if form[at : at + 1] == b"*":
        width = _star(values, used)
        if width is None:
            return at + 1, used + (used < len(values)), True
        if width < 0:
            one.flags.add(ord("-"))
        one.width = abs(width)
        return at + 1, used + 1, False
    digits = at
    while at < len(form) and chr(form[at]).isdigit() and form[at] < 128:
        at += 1
    if at > digits:
        one.width = _bounded(form[digits:at])
    return at, used, False


def _precision(form: bytes, at: int, used: int, values: Sequence[object], one: Directive) -> tuple[int, int, bool]:
    if form[at : at + 1] == b"*":
        precision = _star(values, used)
        if precision is None or precision < 0:
            return at + 1, used + (used < len(values)), precision is None
        one.precision = precision
        return at + 1, used + 1, False
    digits = at
    while at < len(form) and 48 <= form[at] <= 57:
        at += 1
    one.precision = _bounded(form[digits:at] or b"0")
    return at, used, False


def directed(one: Directive, value: object) -> bytes:
    """A value as a directive asks for it."""
    verb = one.verb
    if verb == "T":
        return one.padded(type_name(value))
    if isinstance(value, NoValue):
        return one.padded(b"<nil>") if verb == "v" else b"%!" + verb.encode() + b"(<nil>)"
    if isinstance(value, bool):
        return one.padded(plain(value)) if verb in "tv" else unfit(one, value)
    if isinstance(value, int):
        return integer(one, value)
    if isinstance(value, float):
        return real(one, value)
    if isinstance(value, bytes):
        return text(one, value)
    if isinstance(value, list):
        if ord("#") in one.flags and verb == "v":
            raise UnprintableError("%#v")
        return b"[" + b" ".join(directed(one, part) for part in value) + b"]"
    if isinstance(value, dict):
        parts = (directed(one, key) + b":" + directed(one, value[key]) for key in sorted(value))
        return b"map[" + b" ".join(parts) + b"]"
    if isinstance(value, Struct) and value.text is not None and verb in "sv":
        return text(one, value.text)
    raise UnprintableError(type_name(value).decode())


def unfit(one: Directive, value: object) -> bytes:
    """Go's note of a verb that a value does not have. The value in it is as wide as was asked."""
    inner = copy(one)
    inner.verb = "v"
    return b"%!" + one.verb.encode() + b"(" + type_name(value) + b"=" + directed(inner, value) + b")"


def integer(one: Directive, value: int) -> bytes:
    """A number without a fraction."""
    verb, sharp = one.verb, ord("#") in one.flags
    if verb == "c" or verb == "q":
        character = chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else "\ufffd"
        if verb == "c":
            return one.padded(character.encode())
        return one.padded(quoted(character.encode(), "'", ascii_only=ord("+") in one.flags))
    if verb == "U":
        code = b"U+%04X" % value
        return one.padded(code + (b" '%b'" % chr(value).encode() if sharp else b""), zeros=False)
    forms = {"d": "d", "v": "d", "x": "x", "X": "X", "o": "o", "O": "o", "b": "b"}
    if verb not in forms:
        return unfit(one, value)
    digits = format(abs(value), forms[verb])
    if one.precision >= 0:
        digits = "" if one.precision == 0 and value == 0 else digits.rjust(one.precision, "0")
    zeros = one.precision < 0 and ord("0") in one.flags and ord("-") not in one.flags
    sign = "-" if value < 0 else "+" if ord("+") in one.flags else " " if ord(" ") in one.flags else ""
    if zeros and one.width >= 0:
        digits = digits.rjust(one.width - bool(sign), "0")
    prefixes = {"x": "0x", "X": "0X", "b": "0b"}
    prefix = "0o" if verb == "O" else ""
    if sharp and verb in prefixes:
        prefix = prefixes[verb]
    elif sharp and verb == "o" and not digits.startswith("0"):
        prefix = "0"
    return one.padded((sign + prefix + digits).encode(), zeros=False)


def real(one: Directive, value: float) -> bytes:
    """A number with a fraction."""
    if one.verb not in "vgGeEfF" or ord("#") in one.flags:
        return unfit(one, value)
    digits = shortest(value, "g" if one.verb == "v" else one.verb, one.precision)
    if digits[:1] not in (b"-", b"+") and ord("+") in one.flags:
        digits = b"+" + digits
    elif digits[:1] not in (b"-", b"+") and ord(" ") in one.flags:
        digits = b" " + digits
    signed = digits[:1] in (b"-", b"+", b" ")
    if ord("0") in one.flags and ord("-") not in one.flags and signed and math.isfinite(value):
        # Zeros stand behind the sign.
        return digits[:1] + digits[1:].rjust(one.width - 1, b"0")
    return one.padded(digits, zeros=math.isfinite(value))


def text(one: Directive, value: bytes) -> bytes:
    """A string."""
    verb, sharp = one.verb, ord("#") in one.flags
    if verb in "sv" and not (verb == "v" and sharp):
        return one.padded(cut(value, one.precision))
    if verb in "xX":
        value = value[: one.precision] if one.precision >= 0 else value
        pairs = [format(byte, "02x" if verb == "x" else "02X").encode() for byte in value]
        prefix = (b"0x" if verb == "x" else b"0X") if sharp else b""
        if ord(" ") in one.flags:
            return one.padded(b" ".join(prefix + pair for pair in pairs))
        return one.padded((prefix if pairs else b"") + b"".join(pairs))
    if verb == "q" or verb == "v":
        value = cut(value, one.precision)
        if sharp and verb == "q" and b"`" not in value and all(byte >= 32 or byte == 9 for byte in value):
            return one.padded(b"`" + value + b"`")
        return one.padded(quoted(value, '"', ascii_only=ord("+") in one.flags))
    return unfit(one, value)


def cut(value: bytes, characters: int) -> bytes:
    """The first characters; -1: all."""
    if characters < 0:
        return value
    return value.decode("utf-8", "surrogateescape")[:characters].encode("utf-8", "surrogateescape")


_QUOTED = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v", 92: "\\\\"}


def quoted(value: bytes, quote: str = '"', *, ascii_only: bool = False) -> bytes:
    """strconv.Quote"""
    said = [quote]
    for character in value.decode("utf-8", "surrogateescape"):
        code = ord(character)
        if character == quote:
            said.append("\\" + quote)
        elif code in _QUOTED:
            said.append(_QUOTED[code])
        elif 0xDC80 <= code <= 0xDCFF:
            said.append(f"\\x{code - 0xDC00:02x}")
        elif 32 <= code < 127 or (code >= 128 and character.isprintable() and not ascii_only):
            said.append(character)
        elif code < 128:
            said.append(f"\\x{code:02x}")
        else:
            said.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    said.append(quote)
    return "".join(said).encode()


# ------------------------------------------------------------------------------------------------------ escaping


def html(value: bytes) -> bytes:
    """HTMLEscapeString"""
    for plain_text, escaped in (
        (b"&", b"&amp;"), (b"\0", "\ufffd".encode()), (b'"', b"&#34;"), (b"'", b"&#39;"), (b"<", b"&lt;"),
        (b">", b"&gt;"),
    ):  # fmt: skip
        value = value.replace(plain_text, escaped)
    return value


_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


def js(value: bytes) -> bytes:
    """JSEscapeString"""
    said = []
    for character in value.decode("utf-8", "replace"):
        if character in _JS:
            said.append(_JS[character])
        elif character < " " or (character > "\x7f" and not character.isprintable()):
            said.append(f"\\u{ord(character):04X}")
        else:
            said.append(character)
    return "".join(said).encode()


def urlquery(value: bytes) -> bytes:
    """url.QueryEscape"""
    from urllib.parse import quote_plus

    return quote_plus(value, safe="").encode()
