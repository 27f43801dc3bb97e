"""What directives become, as CoreDNS's parser has it, and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.log.config import MAX_LINE_BYTES
from fastdns.plugins.log.format import COMBINED, COMMON, Part

ALL = frozenset({"all"})


@dataclass(frozen=True)
class Case:
    """Directives by ``;`` instead of newlines, and rules: (name, format, classes)."""

    text: str
    rules: list[tuple[str, str, frozenset[str]]]
    why: str
    warning: str = ""


@dataclass(frozen=True)
class Bad:
    """line: counted from 2, where the first directive stands."""

    text: str
    message: str
    why: str
    line: int = 2


CASES = [
    Case("log", [(".", COMMON, ALL)], why="alone"),
    Case("log example.org", [("example.org.", COMMON, ALL)], why="a name"),
    Case("log example.org.", [("example.org.", COMMON, ALL)], why="a fully qualified name"),
    Case("log .", [(".", COMMON, ALL)], why="the root"),
    Case('log ""', [(".", COMMON, ALL)], why="an empty name is the root"),
    Case("log a.org b.org", [("a.org.", COMMON, ALL), ("b.org.", COMMON, ALL)], why="two names"),
    Case("log a.org {common}", [("a.org.", COMMON, ALL)], why="the common format by name"),
    Case("log a.org {combined}", [("a.org.", COMBINED, ALL)], why="the combined format by name"),
    Case("log a.org {when}", [("a.org.", "{when}", ALL)], why="a placeholder that there is not"),
    Case('log a.org "{name} {type}"', [("a.org.", "{name} {type}", ALL)], why="a format in quotes"),
    Case(
        "log a.org b.org {name}", [("a.org.", "{name}", ALL), ("b.org.", "{name}", ALL)],
        why="names and a format",
    ),
    Case('log . "{when} {combined}!"', [(".", "{when} " + COMBINED + "!", ALL)], why="combined and more"),
    Case('log . "{common}{common}"', [(".", COMMON + COMMON, ALL)], why="common, twice"),
    Case('log . "x {"', [(".", "x {", ALL)], why="any brace makes it a format"),
    Case('log . "a;{name}"', [(".", "a\n{name}", ALL)], why="a format of two lines"),
    Case(
        "log a.org;log b.org {combined}",
        [("a.org.", COMMON, ALL), ("b.org.", COMBINED, ALL)],
        why="two directives",
    ),
    Case(
        "log a.org {name};log a.org {type}", [("a.org.", "{name}", ALL), ("a.org.", "{type}", ALL)],
        why="one name twice",
    ),
    Case("log {;class denial;}", [(".", COMMON, frozenset({"denial"}))], why="a class"),
    Case("log {;}", [(".", COMMON, ALL)], why="an empty block"),
    Case("log {;class denial error;}", [(".", COMMON, frozenset({"denial", "error"}))], why="two classes"),
    Case("log {;class denial;class error;}", [(".", COMMON, frozenset({"denial", "error"}))], why="class twice"),
    Case("log {;class all denial;}", [(".", COMMON, frozenset({"all", "denial"}))], why="all and another"),
    Case(
        "log a.org b.org {name} {;class denial;}",
        [("a.org.", "{name}", frozenset({"denial"})), ("b.org.", "{name}", frozenset({"denial"}))],
        why="names, a format and a class",
    ),
    Case(
        "log a.org {;class success;};log b.org",
        [("a.org.", COMMON, frozenset({"success"})), ("b.org.", COMMON, ALL)],
        why="a class is its directive's",
    ),
    Case("log {combined}", [("{combined}.", COMMON, ALL)], why="one argument is a name", warning="log . FORMAT"),
    Case(
        "log {name} {type}", [("{name}.", "{type}", ALL)], why="only the last is a format",
        warning="plugin/log: Corefile:2 - '{name}' is taken for a name, and nothing is logged",
    ),
    Case("log 10.0.0.0/8", [("10.0.0.0/8.", COMMON, ALL)], why="networks are names", warning="its reverse zone"),
    Case(
        'log . "{name} {/forward/upstream}"', [(".", "{name} {/forward/upstream}", ALL)], why="metadata",
        warning="plugin/log: Corefile:2 - {/forward/upstream} is always '-': values can be read only where ",
    ),
]  # fmt: skip

LONG_LABEL = "x" * 64
BAD = [
    Bad("log {;class;}", "after 'class', expected at least one argument", line=3, why="no class"),
    Bad(
        "log {;class abracadabra;}", "'abracadabra' is no class; there are all, success, denial, error", line=3,
        why="no such class",
    ),
    Bad("log {;class success DENIAL;}", "'DENIAL' is no class", line=3, why="classes have a case"),
    Bad("log {;unknown;}", "unknown option 'unknown'", line=3, why="no such option"),
    Bad("log {;clas all;}", "did you mean 'class'", line=3, why="a slip"),
    Bad("errors;log {;class all;unknown;}", "unknown option", line=5, why="the line of the mistake"),
    Bad(f"log {LONG_LABEL}.org", "is not a domain name: labels of 1 to 63 bytes", why="a label too long"),
    Bad("log a..org", "is not a domain name", why="an empty label"),
    Bad(f"log . \"{'x' * 40_000}{{name}}\"", "the format makes lines of up to 41024 bytes", why="a long format"),
    Bad(f"log . {'{name}' * 40}", f"at most {MAX_LINE_BYTES} are written", why="a format that multiplies"),
]  # fmt: skip


def block(text: str) -> str:
    return ". {\n" + text.replace(";", "\n") + "\nwhoami\n}\n"


@pytest.mark.parametrize("case", CASES, ids=[case.why for case in CASES])
def test_options(case: Case) -> None:
    config = load(block(case.text))
    rules = config.blocks[0].plugins["log"].rules
    assert [(rule.name, rule.format, rule.classes) for rule in rules] == case.rules
    if case.warning:
        assert len(config.warnings) == 1 and case.warning in config.warnings[0]
    else:
        assert not config.warnings


@pytest.mark.parametrize("case", BAD, ids=[case.why for case in BAD])
def test_mistakes(case: Bad) -> None:
    with pytest.raises(CorefileError) as caught:
        load(block(case.text))
    assert case.message in caught.value.message
    assert str(caught.value).startswith(f"plugin/log: Corefile:{case.line} - Error during parsing: ")


def test_the_parts_are_the_format_s() -> None:
    rule = load(block('log . "a {name} {x} {/m}b"')).blocks[0].plugins["log"].rules[0]
    assert rule.parts == (Part("", "a "), Part("{name}"), Part("", " {x} "), Part("", value="m"), Part("", "b"))
