"""/ready: until everybody was ready once, or continuously."""

from __future__ import annotations

import pytest

from fastdns.admin.answers import Request
from fastdns.admin.ready import Readiness
from fastdns.corefile import ServerConfig, load


def config(monitor: str = "") -> ServerConfig:
    options = f" {{\n monitor {monitor}\n}}" if monitor else ""
    return load(f". {{\n ready{options}\n whoami\n}}\n")


async def ask(readiness: Readiness) -> tuple[int, str]:
    answer = await readiness.handle(Request())
    return answer.status, answer.body.decode()


@pytest.mark.parametrize(
    ("monitor", "falls_back"), [("", False), ("until-ready", False), ("continuously", True)]
)
async def test_what_is_not_ready_is_named(monitor: str, falls_back: bool) -> None:
    waiting = ["nomad", "kubernetes", "kubernetes"]
    readiness = Readiness(config(monitor), lambda: waiting)
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
    readiness = Readiness(config(), lambda: waiting)
    waiting = ["kubernetes"]
    assert await ask(readiness) == (503, "kubernetes")


async def test_a_reload_asks_again() -> None:
    waiting: list[str] = []
    readiness = Readiness(config(), lambda: waiting)
    assert await ask(readiness) == (200, "OK")
    waiting = ["kubernetes"]
    readiness.reset(config())
    assert await ask(readiness) == (503, "kubernetes")


async def test_the_end_is_the_end() -> None:
    readiness = Readiness(config(), lambda: [])
    assert await ask(readiness) == (200, "OK")
    readiness.close()
    assert await ask(readiness) == (503, "shutting down")
    readiness.reset(config())
    assert await ask(readiness) == (503, "shutting down")
