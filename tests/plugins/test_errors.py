"""The lines of errors, as CoreDNS writes them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from fastdns.corefile import load
from fastdns.plugins.errors.reporter import Reporter

pytestmark = pytest.mark.native

WWW = b"\3www\7example\3org\0"


def reporter(options: str = "") -> Reporter:
    """Of a server block with errors."""
    text = f". {{\nerrors {{\n{options}\n}}\nwhoami\n}}\n"
    return Reporter(load(text, environ={}).blocks[0].plugins["errors"])


@dataclass(frozen=True)
class Case:
    qname: bytes
    qtype: int
    line: str
    why: str


CASES = [
    Case(WWW, 1, "www.example.org. A", "a name and a type"),
    Case(b"\0", 2, ". NS", "the root"),
    Case(WWW, 35, "www.example.org. NAPTR", "a type that metrics do not tell apart has its name all the same"),
    Case(WWW, 256, "www.example.org. URI", "a type with a high number"),
    Case(WWW, 65280, "www.example.org. TYPE65280", "a type that has no name"),
    Case(b"\5a b.c\3org\0", 1, "a\\ b\\.c.org. A", "blanks and dots of labels"),
    Case(b"\6$'@;()\3org\0", 1, "$\\'\\@\\;\\(\\).org. A", "what stands for something in zone files"),
    Case(b'\4"\\\n\xff\3org\0', 1, r"\"\\\010\255.org. A", "what does not print"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_a_line(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    reporter().report(2, case.qname, case.qtype, "no healthy proxies", 0.0)
    assert caplog.messages == [f"2 {case.line}: no healthy proxies"]
    assert [(one.name, one.levelno) for one in caplog.records] == [("plugin/errors", logging.ERROR)]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("timeout$", True),
        ("^timeout", False),
        (r"53: i/o \w+\z", True),
        (r"\pLo\x20[[:alpha:]]", False),
        (r"/o\x20[[:alpha:]]\pL{6}", True),
        ("(?i)I/O TIMEOUT", True),
        (r"(?P<network>udp|tcp) (?<address>[\d.]+):", True),
    ],
)
def test_patterns_have_go_s_syntax(pattern: str, matches: bool, caplog: pytest.LogCaptureFixture) -> None:
    one = reporter(f'consolidate 1s "{pattern}"')
    one.report(2, WWW, 1, "read udp 192.0.2.53:53: i/o timeout", 0.0)
    assert (caplog.messages == []) == matches
    one.tick(1.0)
    line = f"1 errors like '{pattern}' occurred" if matches else "2 www.example.org."
    assert caplog.messages[-1].startswith(line)


def test_a_summary_of_what_matches(caplog: pytest.LogCaptureFixture) -> None:
    """The first pattern that matches takes it. One that is shown and stays alone has no summary."""
    caplog.set_level(logging.INFO)
    one = reporter('consolidate 90s "i/o timeout$" warning\nconsolidate 5s ".*" info show_first')
    for at_s in (0.0, 10.0, 20.0):
        one.report(2, WWW, 1, "read udp 192.0.2.53:53: i/o timeout", at_s)
    one.report(2, WWW, 1, "no healthy proxies", 21.0)
    one.tick(26.0)
    one.tick(89.0)
    assert caplog.messages == ["2 www.example.org. A: no healthy proxies"]
    one.tick(90.0)
    assert caplog.messages[1:] == ["3 errors like 'i/o timeout$' occurred in last 1m30s"]
    assert [record.levelno for record in caplog.records] == [logging.INFO, logging.WARNING]
