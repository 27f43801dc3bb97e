"""The rules of rewrite, in order: what becomes of a question, and of the reply to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.counted import counted
from fastdns.dns.mnemonics import CLASSES, RCODES, TYPES
from fastdns.plugins.rewrite.edns0 import OptionRule, option_rule
from fastdns.plugins.rewrite.names import (
    EXACT,
    REGEX,
    Match,
    Pieces,
    check_groups,
    normalized,
    to_kind,
    to_match,
    to_pattern,
    to_pieces,
)

MODES = ("continue", "stop")
_SUCH_AS = {"type": "A or AAAA", "class": "IN or CH"}
_REPLACED = "answer name REGEX NAME or answer value REGEX NAME"
# RFC 2181 section 8.
MAX_TTL_S = 2**31 - 1
# The largest code that may be given as a number.
MAX_RCODE = 23


@dataclass(frozen=True, slots=True)
class NameRule:
    """The question's name. auto: names of the reply are put back. answers: what else becomes of them, in order."""

    stop: bool
    match: Match
    to: Pieces
    auto: bool = False
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of names in a reply: of owners, or where value is set of names in the rdata."""

    value: bool
    match: Match
    to: Pieces


@dataclass(frozen=True, slots=True)
class NumberRule:
    """The question's type, or its class. field: "type" or "class"."""

    stop: bool
    field: str
    number: int
    to: int


@dataclass(frozen=True, slots=True)
class TtlRule:
    """The TTLs of replies to the names that match."""

    stop: bool
    match: Match
    low_s: int
    high_s: int


@dataclass(frozen=True, slots=True)
class RcodeRule:
    """The code of replies to the names that match."""

    stop: bool
    match: Match
    rcode: int
    to: int


@dataclass(frozen=True, slots=True)
class CnameRule:
    """Targets of CNAME records in replies: the new one is asked for."""

    stop: bool
    match: Match
    to: Pieces


Rule = NameRule | NumberRule | TtlRule | RcodeRule | CnameRule | OptionRule


@dataclass(frozen=True, slots=True)
class Config:
    """rules: in the order in which a question meets them."""

    rules: tuple[Rule, ...]


def parse(d: Dispenser, block: BlockContext) -> Config:
    """A rule an occurrence, on the line or in a block. Raises CorefileError."""
    rules = []
    for _ in d.occurrences():
        args = d.remaining_args()
        if len(args) < 2:
            while d.next_block():
                args.append(d.text)
        rules.append(_rule(d, args))
    return Config(tuple(rules))


def _rule(d: Dispenser, args: list[str]) -> Rule:
    mode = args[0].lower() if args else ""
    if mode in MODES:
        args = args[1:]
    if not args:
        raise d.error(f"a rule begins with continue or stop, or with one of {', '.join(_FIELDS)}")
    field = args[0].lower()
    if field == "answer":
        raise d.error("response rewrites must begin with a name rule")
    if field not in _FIELDS:
        raise d.error(f"invalid rule type {args[0]!r}; it is one of {', '.join(_FIELDS)}")
    return _FIELDS[field](d, mode != "continue", args[1:])


# name


def _name(d: Dispenser, stop: bool, args: list[str]) -> NameRule:
    if len(args) < 2:
        raise d.error("a name rule needs the name that is matched, and what takes its place")
    if len(args) == 2:
        args = [EXACT, *args]
    kind = to_kind(d, args[0], "name")
    match = to_match(d, kind, args[1])
    if match.pattern is not None:
        check_groups(d, match.pattern, args[2])
    to = normalized(args[2])
    if kind == EXACT:
        # As CoreDNS does, which compiles it all the same.
        check_groups(d, to_pattern(d, to), match.text)
    auto, answers = _answers(d, args[3:])
    pieces = to_pieces(to, match.groups) if kind == REGEX else (to,)
    return NameRule(stop, match, pieces, auto or kind == EXACT, answers)


def _answers(d: Dispenser, args: list[str]) -> tuple[bool, tuple[Answer, ...]]:
    """``answer auto``, ``[answer] name FROM TO`` and ``[answer] value FROM TO``, any number of them."""
    if not args:
        return False, ()
    if len(args) < 2 or args[0] != "answer":
        raise d.error(f"behind the names expected answer auto, {_REPLACED}; got {' '.join(args)!r}")
    auto = False
    answers = []
    while args:
        if args[0] == "answer":
            args = args[1:]
        what, *args = args or [""]
        if what == "auto":
            auto = True
        elif what in ("name", "value"):
            if len(args) < 2:
                raise d.error(f"answer {what}: expected a regular expression, and the name in place of its match")
            answers.append(_answer(d, what, args[0], args[1]))
            args = args[2:]
        else:
            raise d.error(f"expected answer auto, {_REPLACED}; got {what!r}")
    if auto and not all(answer.value for answer in answers):
        raise d.error("answer auto cannot be combined with answer name: it puts the names back itself")
    return auto, tuple(answers)


def _answer(d: Dispenser, what: str, text: str, replacement: str) -> Answer:
    pattern = to_pattern(d, text)
    check_groups(d, pattern, replacement)
    return Answer(what == "value", Match(REGEX, text, pattern), to_pieces(normalized(replacement), pattern.groups))


# type, class


def _type(d: Dispenser, stop: bool, args: list[str]) -> NumberRule:
    return _numbers(d, stop, "type", args, {name: number for number, name in TYPES.items()})


def _class(d: Dispenser, stop: bool, args: list[str]) -> NumberRule:
    return _numbers(d, stop, "class", args, {"ANY": 255, **{name: number for number, name in CLASSES.items()}})


def _numbers(d: Dispenser, stop: bool, field: str, args: list[str], known: dict[str, int]) -> NumberRule:
    if len(args) != 2:
        raise d.error(f"{field} rules must have exactly two arguments: the {field} asked for, and its replacement")
    for text in args:
        if text.upper() not in known:
            raise d.error(f"invalid {field} {text.upper()!r}; expected one such as {_SUCH_AS[field]}")
    return NumberRule(stop, field, known[args[0].upper()], known[args[1].upper()])


# ttl, rcode


def _matched(d: Dispenser, what: str, args: list[str], values: int, expected: str) -> tuple[Match, list[str]]:
    """``[exact|prefix|…] NAME`` and as many values."""
    if len(args) == values + 1:
        args = [EXACT, *args]
    if len(args) != values + 2:
        raise d.error(f"{what} rules take a name and {expected}; got {counted(len(args), 'argument')}")
    return to_match(d, to_kind(d, args[0], what), args[1]), args[2:]


def _ttl(d: Dispenser, stop: bool, args: list[str]) -> TtlRule:
    match, (text,) = _matched(d, "ttl", args, 1, "seconds")
    bounds = re.fullmatch(r"(\d*)(-?)(\d*)", text, re.ASCII)
    if bounds is None or text in ("", "-"):
        raise d.error(f"invalid TTL {text!r} for a ttl rule: SECONDS, MIN-MAX, MIN- or -MAX expected")
    low_text, dash, high_text = bounds.groups()
    low_s = int(low_text or "0")
    high_s = int(high_text or str(MAX_TTL_S)) if dash else low_s
    if low_s > high_s or max(low_s, high_s) >= 2**32:
        raise d.error(f"invalid TTL {text!r} for a ttl rule: from 0 to {MAX_TTL_S}, the smaller one first")
    return TtlRule(stop, match, min(low_s, MAX_TTL_S), min(high_s, MAX_TTL_S))


def _rcode(d: Dispenser, stop: bool, args: list[str]) -> RcodeRule:
    match, codes = _matched(d, "rcode", args, 2, "two response codes")
    return RcodeRule(stop, match, *[_to_rcode(d, text) for text in codes])


def _to_rcode(d: Dispenser, text: str) -> int:
    known = {"NOTIMPL": 4, **{name: number for number, name in RCODES.items()}}
    if re.fullmatch(r"[0-9]{1,10}", text) and int(text) <= MAX_RCODE:
        return int(text)
    if text.upper() not in known:
        raise d.error(f"invalid response code {text!r}: a name, or a number from 0 to {MAX_RCODE}, expected")
    return known[text.upper()]


# cname


def _cname(d: Dispenser, stop: bool, args: list[str]) -> CnameRule:
    if len(args) == 2:
        args = [EXACT, *args]
    if len(args) != 3:
        raise d.error(f"a cname rule takes the target that is matched, and what takes its place; got {len(args)}")
    kind = to_kind(d, args[0], "cname")
    text, to = args[1].lower(), args[2].lower()
    if kind == EXACT:
        text, to = normalized(text), normalized(to)
    if kind != REGEX:
        return CnameRule(stop, Match(kind, text), (to,))
    pattern = to_pattern(d, text)
    return CnameRule(stop, Match(kind, text, pattern), to_pieces(to, pattern.groups))


_FIELDS: dict[str, Callable[[Dispenser, bool, list[str]], Rule]] = {
    "name": _name,
    "type": _type,
    "class": _class,
    "edns0": option_rule,
    "ttl": _ttl,
    "cname": _cname,
    "rcode": _rcode,
}
