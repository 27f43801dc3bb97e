"""The plugins' parts of the supervisor, together."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from fastdns.errors import FastdnsError
from fastdns.plugins.api import InSupervisor, Plugin, SupervisorView
from fastdns.process import parts
from fastdns.process.parts import Parts


class Pages(InSupervisor):
    def __init__(self, name: str, paths: tuple[str, ...]) -> None:
        self.name = name
        self.paths = paths

    def handlers(self) -> Mapping[str, Any]:
        return {path: (self.name, path) for path in self.paths}


def offering(name: str, *paths: str) -> Plugin:
    class Offering(Plugin):
        def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
            return Pages(name, paths)

    Offering.name = name
    return Offering()


def parts_of(monkeypatch: pytest.MonkeyPatch, *plugins: Plugin) -> Parts:
    """The parts of a supervisor that serves these plugins."""
    supervisor: Any = SimpleNamespace(config=None)
    monkeypatch.setattr(parts, "used", lambda config: list(plugins) if config is None else config)
    monkeypatch.setattr(parts, "in_python", lambda config: [])
    made = Parts(supervisor)
    made.make(supervisor.config)
    return made


def test_each_path_is_answered_by_who_offers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = parts_of(monkeypatch, offering("one", "/one"), offering("two", "/two", "/2"))
    assert made.handlers() == {"/one": ("one", "/one"), "/two": ("two", "/two"), "/2": ("two", "/2")}


def test_a_path_that_two_plugins_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them won in silence."""
    with pytest.raises(FastdnsError, match="plugin/two: /page is answered by one already"):
        parts_of(monkeypatch, offering("one", "/page"), offering("two", "/page"))


def test_a_plugin_that_serves_no_more_leaves_its_path_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = offering("one", "/page"), offering("two", "/page")
    made = parts_of(monkeypatch, one)
    config: Any = [two]
    made.make(config)
    made.supervisor.config = config  # type: ignore[misc]
    assert made.handlers() == {"/page": ("two", "/page")}
