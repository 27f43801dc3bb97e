"""The source of hosted zones, with a provider that does what a file says: failures, changes, what is left out."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastdns.dns.names import wire_name
from fastdns.hostedzones import following
from fastdns.hostedzones.config import HostedZone, Listing
from fastdns.hostedzones.following import HostedSource
from fastdns.memory._store import Store, Writer
from tests.hostedzones.lister import Access

pytestmark = [pytest.mark.native, pytest.mark.unsanitized("it starts Python")]

NUMBER = 3
MODULE = "tests.hostedzones.lister"
SOA = ["z.test.", "SOA", 60, ["ns host 1 7200 1800 86400 60"]]
OTHER_SOA = ["other.test.", "SOA", 60, ["ns host 2 7200 1800 86400 60"]]
SECRET = "hunter2"


def www(address: str) -> list[Any]:
    return ["www.z.test", "A", 60, [address]]


class Followed:
    """A source that runs. script: by id what its provider does."""

    def __init__(self, folder: Path, script: dict[str, Any], *listings: list[tuple[str, str]]) -> None:
        self.file = folder / "script.json"
        self.script = script
        self.store = Store(1 << 24)
        self.writer = Writer(self.store)
        self.counted: list[str] = []
        access = Access(str(self.file), SECRET)
        self.listings = [Listing(tuple(HostedZone(*one) for one in zones), access, 0.01) for zones in listings]
        self.play(script)
        self.source = self.made()
        self.source.restore()

    def made(self) -> HostedSource:
        log = logging.getLogger("plugin/test")
        return HostedSource(NUMBER, MODULE, "nobody", self.listings, self.writer, log, self.counted.append)

    def play(self, script: dict[str, Any]) -> None:
        """From now on."""
        self.file.with_suffix(".new").write_text(json.dumps(script))
        self.file.with_suffix(".new").replace(self.file)

    async def __aenter__(self) -> Followed:
        self.task = asyncio.create_task(self.source.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not what():
                assert not self.task.done(), self.task.result()
                await asyncio.sleep(0.005)

    def names(self, zone: str = "z.test.", layer: int = 0) -> int:
        """How many names a zone has; -1: there is none."""
        name = wire_name(zone) + (bytes([layer]) if layer else b"")
        return self.source.store.counts(name)[0] if name in self.source.store.zones() else -1

    @property
    def synced(self) -> bool:
        return self.store.source(NUMBER)[0]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "FIRST_RETRY_S", 0.01)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "plugin/test"]


async def test_failures_leave_what_is_served(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each is said once, without secrets, and no zone keeps another one from being listed."""
    caplog.set_level(logging.INFO)
    script: dict[str, Any] = {"a": [["fail", f"denied for {SECRET},\nsays it"]], "b": [OTHER_SOA]}
    async with Followed(tmp_path, script, [("z.test.", "a"), ("other.test.", "b")]) as followed:
        assert (followed.names(), followed.names("other.test."), followed.synced) == (0, 0, False)
        await followed.until(lambda: followed.counted.count("failed") == 2)
        assert (followed.names(), followed.names("other.test."), followed.synced) == (0, 1, True)
        followed.play({**script, "a": [SOA, www("192.0.2.1")]})
        await followed.until(lambda: followed.names() == 2)
        followed.play({**script, "a": [["print", "!"], ["die", f"no room for {SECRET}"]]})
        await followed.until(lambda: "no room" in caplog.text)
        assert (followed.names(), followed.names("other.test.")) == (2, 1)
        # A successor serves it on.
        followed.made().restore()
        assert (followed.names(), followed.names("other.test.")) == (2, 1)
        followed.play({"open": f"no such profile: {SECRET}"})
        await followed.until(lambda: "no such profile" in caplog.text)
        followed.play({**script, "a": [SOA]})
        await followed.until(lambda: followed.names() == 1)
    lines = said(caplog)
    prefix = "Failed to update zones [z.test.]: "
    assert lines[:2] == [
        f"{prefix}failed to list resource records for z.test.:a from nobody: denied for ***, says it",
        "z.test.:a: 2 records",
    ]
    assert lines.count(lines[0]) == 1
    assert f"{prefix}z.test.:a: the process that reads hosted zones has ended: no room for ***"[:60] in caplog.text
    assert SECRET not in caplog.text


async def test_what_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = [
        ["www.z.test", "A", 60, ["192.0.2.999", "192.0.2.3"]], ["x.elsewhere.", "A", 60, ["192.0.2.1"]],
        ["a..b.z.test", "A", 60, ["192.0.2.1"]], ["t.z.test", "NONSENSE", 60, ["1"]],
        ["t.z.test", "A", -1, ["192.0.2.1"]], ["t.z.test", "A", 60, [], "it is an alias of nothing"],
        ["c.z.test", "CNAME", 60, ["one", "two"]], ["h.z.test", "A", 60, [""]], ["h.z.test", "TXT", 60, ['"open']],
    ]  # fmt: skip
    async with Followed(tmp_path, {"a": [SOA, *bad]}, [("z.test.", "a")]) as followed:
        await followed.until(lambda: followed.counted.count("listed") > 1)
        assert followed.names() == 3
    lines = said(caplog)
    assert len(lines) == len(bad) == len(set(lines))
    assert all(line.startswith("z.test.:a: ") and line.endswith("; it is left out") for line in lines)
    assert "z.test.:a: x.elsewhere. A: it is not in the zone z.test.; it is left out" in lines
    assert "z.test.:a: t.z.test A: it is an alias of nothing; it is left out" in lines


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ([www("192.0.2.1")], "it has no SOA record for z.test."),
        ([["z.test", "SOA", 60, ["ns host"]]], "; z.test SOA: expecting an identifier: ns host"),
        ([SOA, ["endless"]], "it has over 1 MiB of records"),
        ([["die", None]], "the process that reads hosted zones has ended: killed"),
    ],
)  # fmt: skip
async def test_what_is_no_zone(tmp_path: Path, caplog: pytest.LogCaptureFixture, does: list[Any], why: str) -> None:
    async with Followed(tmp_path, {"a": does}, [("z.test.", "a")]) as followed:
        await followed.until(lambda: followed.counted)
        assert (followed.names(), followed.counted[0]) == (0, "failed")
    assert said(caplog)[0].endswith(why)


async def test_hosted_zones_with_one_name(tmp_path: Path) -> None:
    """They are layers, also of several listings; the name itself is an empty zone."""
    script = {"a": [SOA], "b": [SOA, www("192.0.2.1")], "c": [OTHER_SOA]}
    listings = ([("z.test.", "a"), ("other.test.", "c")], [("z.test.", "b")])
    async with Followed(tmp_path, script, *listings) as followed:
        await followed.until(lambda: followed.synced)
        assert [followed.names(layer=layer) for layer in range(4)] == [0, 1, 2, -1]
        assert [followed.names("other.test.", layer) for layer in range(2)] == [1, -1]
    followed.listings = followed.listings[1:]
    followed.source = followed.made()
    followed.source.restore()
    assert [followed.names(layer=layer) for layer in range(3)] == [0, -1, -1], "nobody knows which one that was"


async def test_cancelled_while_it_lists(tmp_path: Path) -> None:
    """The process is gone with its source."""
    async with Followed(tmp_path, {"a": [SOA, ["hang"]]}, [("z.test.", "a")]) as followed:
        for _ in range(20):
            await asyncio.sleep(0.01)
    assert followed.task.cancelled() and not followed.counted


async def test_nothing_to_list(tmp_path: Path) -> None:
    async with Followed(tmp_path, {}) as followed:
        assert followed.synced
        await followed.until(lambda: followed.task.done())
