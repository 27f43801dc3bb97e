"""/ready: until everybody was ready once, or continuously."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fastdns.corefile import ServerConfig, load
from fastdns.http.answers import Request
from fastdns.plugins.ready.page import Readiness


def config(monitor: str = "") -> ServerConfig:
    options = f" {{\n monitor {monitor}\n}}" if monitor else ""
    return load(f". {{\n ready{options}\n whoami\n}}\n")


def supervisor(waiting: Any, monitor: str = "") -> Any:
    """As far as readiness looks at it. waiting: gives the plugins that are not ready."""
    return SimpleNamespace(config=config(monitor), stopping=False, unready=waiting, notes=list)


async def ask(readiness: Readiness) -> tuple[int, str]:
    answer = await readiness.handle(Request())
    return answer.status, answer.body.decode()


@pytest.mark.parametrize(
    ("monitor", "falls_back"), [("", False), ("until-ready", False), ("continuously", True)]
)
async def test_what_is_not_ready_is_named(monitor: str, falls_back: bool) -> None:
    waiting = ["nomad", "kubernetes", "kubernetes"]
    readiness = Readiness(supervisor(lambda: waiting, monitor))
    assert await ask(readiness) == (503, "kubernetes,nomad")
    waiting = ["nomad"]
    assert await ask(readiness) == (503, "nomad")
    waiting = []
    assert await ask(readiness) == (200, "OK")
    waiting = ["kubernetes"]
    assert await ask(readiness) == ((503, "kubernetes") if falls_back else (200, "OK"))


async def test_nobody_had_to_ask_while_it_was_ready() -> None:
    """Ready is what was seen ready: without a probe in between it is looked at again."""
    waiting: list[str] = []
    readiness = Readiness(supervisor(lambda: waiting))
    waiting = ["kubernetes"]
    assert await ask(readiness) == (503, "kubernetes")


async def test_a_reload_asks_again() -> None:
    waiting: list[str] = []
    readiness = Readiness(supervisor(lambda: waiting))
    assert await ask(readiness) == (200, "OK")
    waiting = ["kubernetes"]
    readiness.reset(config())
    assert await ask(readiness) == (503, "kubernetes")


async def test_the_end_is_the_end() -> None:
    ending = supervisor(list)
    readiness = Readiness(ending)
    assert await ask(readiness) == (200, "OK")
    ending.stopping = True
    assert await ask(readiness) == (503, "shutting down")
    readiness.reset(config())
    assert await ask(readiness) == (503, "shutting down")
