"""What a newcomer is told of the mistakes that he makes: where it is, and what was expected."""

from __future__ import annotations

import pytest

from fastdns.check import check
from fastdns.corefile import load
from fastdns.counted import counted


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("chaos {\nversion 1\n}", "3 - {EDP}: unknown option 'version'; there are no options"),
        ("local {\nprefixes on\n}", "3 - {EDP}: unknown option 'prefixes'; expected one of localhost_prefix"),
        ("file db {\nabc\n}", "3 - {EDP}: unknown option 'abc'; expected one of reload, reload_by_mtime,"),
        ("cache {\nservfail\n}", "expected one argument: a duration, such as 30s, 500ms or 1h30m"),
        ("hosts {\nttl\n}", "expected one argument: a whole number from 1 to 65535"),
        ("forward . 1.1.1.1 {\npolicy\n}", "expected one argument: random or round_robin or sequential"),
        ("forward . 1.1.1.1 {\nnext\n}", "expected at least one argument: a response code, such as SERVFAIL"),
        ("bind", "expected at least one argument: an IP address or an interface"),
        ("view", "expected one argument: the name of the view"),
        ("dns64 {\nprefix\n}", "expected one argument: an IPv6 prefix, such as 64:ff9b::/96"),
        ("acl {\nallow type FOO\n}", "'FOO' is no query type; expected one such as A or ANY, in upper case"),
        ("acl {\nallow net 10.0.0.0/33\n}", "invalid network '10.0.0.0/33'; expected one such as 10.0.0.0/8"),
        ("template IN FOO", "invalid RR type 'FOO'; expected a type such as A or ANY, in upper case"),
        ("rewrite type FOO A", "invalid type 'FOO'; expected one such as A or AAAA"),
        ("rewrite type A", "type rules must have exactly two arguments: the type asked for, and its replacement"),
        ("rewrite ttl a", "ttl rules take a name and seconds; got 1 argument"),
        (
            "rewrite name suffix a b answer",
            "behind the names expected answer auto, answer name REGEX NAME or answer value REGEX NAME; got"
        ),
        ("rewrite name suffix a b answer foo", "expected answer auto, answer name REGEX NAME or"),
        ("rewrite name suffix a b answer name x", "answer name: expected a regular expression, and the name"),
        ("etcd {\ntls . . .\n}", "the files of tls, . . .: Is a directory"),
    ],
)  # fmt: skip
def test_a_mistake_says_what_was_expected(body: str, said: str) -> None:
    """It named the mistake, and not what to write."""
    report = check(lambda mistakes: load(f".:1053 {{\n{body}\n}}\n", "Corefile", mistakes=mistakes))
    (found,) = map(str, report.mistakes.found)
    assert "Corefile:" in found and said.replace("{EDP}", "Error during parsing") in found, found


@pytest.mark.parametrize(
    "record",
    [
        "{{ .Name }} 99999999999 IN A 192.0.2.1", "{{ .Name }} 60 IN A", "a. 60 IN A 192.0.2.300", "a. 60 IN FOO x",
        "a. 60 IN CAA 0", "x",
    ],
)  # fmt: skip
def test_a_template_without_a_record_is_warned_of(record: str) -> None:
    """A TTL over 32 bits, among others: it was said only when a query came, and then not why."""
    text = f'.:1053 {{\n    template IN A {{\n        answer "{record}"\n    }}\n}}\n'
    (warning,) = check(lambda mistakes: load(text, "Corefile", mistakes=mistakes)).warnings
    assert warning.startswith("plugin/template: Corefile:3 - this answer is no resource record"), warning
    right = text.replace(record, "{{ .Name }} 4294967295 IN A 192.0.2.1")
    assert check(lambda mistakes: load(right, "Corefile", mistakes=mistakes)).warnings == []


def test_numbers_of_things() -> None:
    """Logs said "1 lines"."""
    assert [counted(number, "line") for number in (0, 1, 2)] == ["0 lines", "1 line", "2 lines"]
    assert [counted(number, "key", ("is", "are")) for number in (1, 2)] == ["1 key is", "2 keys are"]
