"""Several blocks with one zone: allowed where a plugin's settings say that the block takes only some queries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from fastdns.check import as_json, check, problem_lines, served_lines
from fastdns.cli import zone_lines
from fastdns.corefile import ServerConfig, load
from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.labels import block_of_zones, counted_zones
from fastdns.corefile.mistakes import Mistakes
from fastdns.corefile.options import one
from fastdns.corefile.settings import Settings
from fastdns.errors import CorefileError
from fastdns.plugins import order
from fastdns.plugins.api import Plugin


class Some(Plugin):
    """some NAME: the block takes only some queries."""

    name = "some"
    after = "whoami"

    def parse(self, tokens: Dispenser, context: BlockContext) -> str:
        name = ""
        for _ in tokens.occurrences():
            name = one(tokens)
        return name

    def settings(self, config: str) -> Settings:
        return Settings(view=config)


class Other(Some):
    name = "other"


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> Any:
    plugins = {"some": Some(), "other": Other()}

    class Point:
        def __init__(self, name: str) -> None:
            self.name = self.value = name

        def load(self) -> Plugin:
            return plugins[self.name]

    monkeypatch.setattr(order, "external", lambda: {name: Point(name) for name in plugins})
    monkeypatch.setattr(order, "_order", list(order.ORDER))
    order.load.cache_clear()
    yield
    order.load.cache_clear()


def read(text: str) -> ServerConfig:
    return load(text, environ={})


SEVERAL = """a {
some one
prometheus
}
a b:54 {
some two
}
a {
prometheus
}
b:54 {
some ""
}
"""


def test_blocks_keep_their_order() -> None:
    config = read(SEVERAL)
    assert [listener.zones for listener in config.listeners] == [
        (("a.", 0), ("a.", 1), ("a.", 2)), (("b.", 1), ("b.", 3)),
    ]  # fmt: skip
    assert [block.settings.view for block in config.blocks] == ["one", "two", None, ""]
    assert config.warnings == ()
    assert list(block_of_zones(config)) == [
        (("dns://:53", "a.", "one"), 0), (("dns://:53", "a.", "two"), 1), (("dns://:53", "a.", ""), 2),
        (("dns://:54", "b.", "two"), 1), (("dns://:54", "b.", ""), 3),
    ]  # fmt: skip
    assert counted_zones(config) == [
        ("dns://:53", "dropped", ""), ("dns://:54", "dropped", ""),
        ("dns://:53", "a.", "one"), ("dns://:53", "a.", ""),
    ]  # fmt: skip


@dataclass(frozen=True)
class Case:
    text: str
    error: str
    why: str


# What CoreDNS does: validateZonesAndListeningAddresses in core/dnsserver/register.go.
ERRORS = [
    Case("a {\n}\na {\n}\n", "Corefile:3 - Error during parsing: cannot serve dns://a.:53 - it is already defined",
         "two blocks that take all"),
    Case("a {\nsome x\n}\na {\n}\na {\n}\n", "Corefile:6 - Error during parsing: cannot serve dns://a.:53 - it is",
         "two behind one with a view"),
    Case("a {\n}\na {\nsome x\nbind 127.0.0.1\n}\n",
         "cannot serve dns://a.:53 on 127.0.0.1 - zone overlap listener capacity with dns://a.:53",
         "a view at one address of a zone that is served at all"),
    Case("a {\nbind 127.0.0.1\n}\na {\nsome x\n}\n",
         "cannot serve dns://a.:53 - zone overlap listener capacity with dns://a.:53 on 127.0.0.1",
         "a view at all addresses of a zone that is served at one"),
    Case("a {\nsome x\nother y\n}\n", "plugin/some: Corefile:2 - Error during parsing: multiple views defined in "
         "server block: other is one, too", "two plugins that choose"),
]  # fmt: skip


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case.why)
def test_errors(case: Case) -> None:
    with pytest.raises(CorefileError) as caught:
        read(case.text)
    assert case.error in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a {\nsome x\n}\na {\n}\n", id="before one that takes all"),
        pytest.param("a {\nsome x\n}\na {\nsome x\n}\n", id="the same view twice"),
        pytest.param("a a {\nsome x\n}\n", id="a zone twice in one block"),
        pytest.param("a {\nsome x\nbind 127.0.0.1\n}\na {\n}\n", id="at one address, before one at all"),
    ],
)
def test_what_coredns_accepts(text: str) -> None:
    assert read(text).warnings == ()


def test_a_block_that_no_query_reaches_is_warned_of() -> None:
    warnings = read("a {\n}\na b {\nsome x\n}\na {\nsome y\n}\n").warnings
    assert [warning[:60] for warning in warnings] == [
        "Corefile:3: no query for a. reaches this block: the block at",
        "Corefile:6: no query for a. reaches this block: the block at",
    ]


def test_check_shows_them() -> None:
    report = check(lambda _: read(SEVERAL))
    assert report.right and not problem_lines(report)
    assert [line for line in served_lines(report) if line.startswith("  ")] == [
        "  a.  view one  prometheus some  [Corefile:1]",
        "  a.  view two  some  [Corefile:5]",
        "  a.  prometheus  [Corefile:8]",
        "  b.  view two  some  [Corefile:5]",
        "  b.  view   some  [Corefile:11]",
    ]
    said = json.loads(as_json(report))
    assert [zone["view"] for zone in said["listeners"][0]["zones"]] == ["one", "two", None]


def test_check_keeps_the_mistake_of_two_views() -> None:
    text = "a {\nsome x\nother y\n}\nb {\nwhoami x\n}\n"
    report = check(lambda mistakes: load(text, environ={}, mistakes=mistakes))
    assert [line.partition(" - ")[0] for line in problem_lines(report)] == [
        "fastdns: plugin/some: Corefile:2", "fastdns: plugin/whoami: Corefile:6",
    ]  # fmt: skip


def test_a_start_prints_each_zone_once() -> None:
    assert zone_lines(read(SEVERAL)) == ["a.:53", "b.:54"]


def test_settings_of_wrong_options_are_not_asked_for() -> None:
    mistakes = Mistakes(keep=True)
    with pytest.raises(CorefileError):
        load("a {\nsome\nother\n}\n", environ={}, mistakes=mistakes)
    assert len(mistakes.found) == 2
