"""Reasons of failures: the server's own have fixed numbers, plugins' are registered, and none is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns.errors import FastdnsError
from fastdns.metrics import reasons
from fastdns.metrics._stats import Stats
from fastdns.metrics.reasons import MAX_REASONS, REASONS, Reason, first_reason, number_of, register
from fastdns.plugins.order import available, load

pytestmark = pytest.mark.native

DECLARED = Path(reasons.__file__).with_name("_stats.pxd")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Reason]]:
    """A registry of the test's own."""
    mine = list(REASONS)
    monkeypatch.setattr(reasons, "REASONS", mine)
    monkeypatch.setattr(reasons, "_first", dict(reasons._first))
    yield mine


def test_the_servers_own_stand_at_the_numbers_that_native_code_has() -> None:
    enum = re.search(r"cdef enum Failure:\n(.*?)\n\n", DECLARED.read_text(), re.DOTALL)
    assert enum is not None
    numbers = dict(re.findall(r"^    (\w+) = (\d+)", enum[1], re.MULTILINE))
    assert int(numbers.pop("MAX_REASONS")) == MAX_REASONS
    assert int(numbers.pop("OWN_REASONS")) == len(numbers)
    names = [reason.name for reason in REASONS[: len(numbers)]]
    # A name in native code is the one in metrics, or says what the client gets.
    others = {
        "NO_ERROR": "", "FAILED_FORMERR": "malformed", "FAILED_NOTIMP": "not_implemented",
        "FAILED_SILENCE": "plugin", "FAILED_WORKER": "worker_died",
    }  # fmt: skip
    for name, number in numbers.items():
        plain = re.sub("^(ERROR|FAILED)_", "", name).lower()
        expected = others.get(name, "plugin" if plain.startswith("plugin_") else plain)
        assert names[int(number)] == expected, name


def test_a_reason_is_counted_under_its_name() -> None:
    stats = Stats(1)
    stats.count_failed(0, "disconnected", "none", 3)
    assert stats.failed(0) == {("disconnected", "none"): 3}
    assert REASONS[number_of("disconnected", "none")].text == ""


def test_plugins_are_numbered_once_and_one_after_the_other(registry: list[Reason]) -> None:
    before = len(registry)
    register("one", [Reason("a", "SERVFAIL", "a text"), Reason("b", "none")])
    register("two", [Reason("c", "REFUSED")])
    register("one", [Reason("a", "SERVFAIL")])
    register("none", [])
    assert (first_reason("one"), first_reason("two")) == (before, before + 2)
    assert [reason.name for reason in registry[before:]] == ["a", "b", "c"]
    with pytest.raises(KeyError):
        first_reason("none")


def test_too_many_are_an_error_that_says_how_many(registry: list[Reason]) -> None:
    left = MAX_REASONS - len(registry)
    many = [Reason(f"r{number}", "SERVFAIL") for number in range(left + 1)]
    with pytest.raises(FastdnsError, match=rf"plugin/many: it has {left + 1} reasons .* room for {left}"):
        register("many", many)
    register("many", many[:-1])
    assert len(registry) == MAX_REASONS


def test_every_plugin_of_the_order_is_registered_when_it_is_loaded() -> None:
    for name in available():
        plugin = load(name)
        if plugin.reasons:
            first = first_reason(name)
            assert tuple(REASONS[first : first + len(plugin.reasons)]) == plugin.reasons
