"""Label and field selectors: ``a=b,c!=d,e in (f,g),h notin (i),j,!k`` parsed once, matched against versions.

Grammar and meaning: Kubernetes documentation, "Labels and Selectors" and "Field Selectors".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from fastdns.bench.apiserver.kinds import COMMON_FIELDS, Kind

Test = Callable[[Mapping[str, str]], bool]

_SET = re.compile(r"^(?P<key>[^\s!=(),]+)\s+(?P<how>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s!=(),]+)\s*(?P<how>==|=|!=)\s*(?P<value>[^\s!=(),]*)$")
_EXISTS = re.compile(r"^(?P<how>!?)\s*(?P<key>[^\s!=(),]+)$")
_COMMA = re.compile(r",(?![^()]*\))")


class BadSelector(ValueError):
    """A selector that the API server refuses with 400."""


def _in(key: str, values: frozenset[str]) -> Test:
    return lambda labels: labels.get(key) in values


def _not_in(key: str, values: frozenset[str]) -> Test:
    return lambda labels: labels.get(key) not in values


def _has(key: str) -> Test:
    return lambda labels: key in labels


def _has_not(key: str) -> Test:
    return lambda labels: key not in labels


def parse_labels(text: str) -> list[Test]:
    """The tests of a labelSelector; all must hold."""
    tests: list[Test] = []
    for part in filter(None, (part.strip() for part in _COMMA.split(text))):
        if match := _SET.match(part):
            values = frozenset(value.strip() for value in match["values"].split(","))
            tests.append((_in if match["how"] == "in" else _not_in)(match["key"], values))
        elif match := _EQUAL.match(part):
            values = frozenset((match["value"],))
            tests.append((_not_in if match["how"] == "!=" else _in)(match["key"], values))
        elif match := _EXISTS.match(part):
            tests.append((_has_not if match["how"] else _has)(match["key"]))
        else:
            raise BadSelector(f"unable to parse requirement: found '{part}', expected: in, notin, =, ==, !=")
    return tests


def parse_fields(text: str, kind: Kind) -> list[Test]:
    """The tests of a fieldSelector; an unset field compares as the empty string."""
    tests: list[Test] = []
    known = (*COMMON_FIELDS, *kind.fields)
    for part in filter(None, text.split(",")):
        match = _EQUAL.match(part.strip())
        if not match:
            raise BadSelector(f"invalid selector: '{text}'; can't understand '{part}'")
        if match["key"] not in known:
            raise BadSelector(f"field label not supported: {match['key']}")
        tests.append(_field(match["key"], match["value"], match["how"] != "!="))
    return tests


def _field(key: str, value: str, equal: bool) -> Test:
    return lambda fields: (fields.get(key, "") == value) is equal
