"""Zones that follow their files, without a watcher around them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from fastdns.memory._store import Store, Writer
from fastdns.zonefiles import asking
from fastdns.zonefiles.asking import last_words, look_at, read_files
from fastdns.zonefiles.following import ZoneFollower, zones_of
from fastdns.zonefiles.frames import Job

pytestmark = pytest.mark.native

ZONE = "@ 60 IN SOA ns host SERIAL 7200 1800 86400 60\nwww 60 IN A 192.0.2.1\n"
NAME = b"\1z\4test\0"


@pytest.mark.unsanitized("it starts Python")
async def test_a_child_that_dies_leaves_what_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, counted each time, and tried again."""
    file = tmp_path / "db"
    file.write_text(ZONE.replace("SERIAL", "1"))
    counted: list[str] = []
    follower = ZoneFollower(3, Writer(Store()), logging.getLogger("plugin/test"), counted.append)
    follower.follow(zones_of([("z.test.", str(file))]))
    assert follower.store.zones() == {NAME: 2}, "it is there, and has no records"
    await follower.refresh(follower.zones.values())
    assert (follower.store.zones(), counted) == ({NAME: 1}, ["loaded"])
    file.write_text(ZONE.replace("SERIAL", "22"))
    program = "import sys; sys.stdin.read(); sys.exit('no room')"
    command = asking.COMMAND
    monkeypatch.setattr(asking, "COMMAND", (command[0], "-c", program))
    for _ in range(2):
        await follower.refresh(follower.zones.values())
    assert follower.store.zones() == {NAME: 1}
    # asyncio may say, too, that another test has waited for its child.
    assert [record.message for record in caplog.records if record.name == "plugin/test"] == [
        f"{file}: the process that reads zone files has ended: no room"
    ]
    monkeypatch.setattr(asking, "COMMAND", command)
    await follower.refresh(follower.zones.values())
    assert (follower.store.zones(), counted) == ({NAME: 22}, ["loaded", "failed", "failed", "loaded"])


@pytest.mark.unsanitized("it starts Python")
async def test_generate_with_many_steps_leaves_what_is_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It took minutes and gigabytes, and the zone was not read again meanwhile."""
    file = tmp_path / "db"
    file.write_text(ZONE.replace("SERIAL", "1"))
    follower = ZoneFollower(3, Writer(Store()), logging.getLogger("plugin/test"), lambda result: None)
    follower.follow(zones_of([("z.test.", str(file))]))
    await follower.refresh(follower.zones.values())
    file.write_text(ZONE.replace("SERIAL", "2") + "$GENERATE 1-1000000000 h$ 60 IN A 192.0.2.1\n")
    await follower.refresh(follower.zones.values())
    assert follower.store.zones() == {NAME: 1}
    assert f"{file}:3 - $GENERATE 1-1000000000 makes 1000000000 records; expected at most 65536" in caplog.text


@pytest.mark.unsanitized("it starts Python")
async def test_several_files_are_one_childs(tmp_path: Path) -> None:
    """One that is wrong does not keep the others from being read."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(ZONE.replace("SERIAL", "5") if name != "b" else "nonsense\n")
    jobs = [Job(str(tmp_path / name), f"{name}.test.") for name in "abcd"]
    jobs.append(Job(str(tmp_path / "a"), "a.test.", 5))
    found = [(bool(read.error), read.unchanged, len(draft)) async for _, read, draft in read_files(jobs)]
    assert found == [(False, False, 2), (True, False, 0), (False, False, 2), (True, False, 0), (False, True, 0)]
    assert [bool(read.error) for read in look_at(jobs)] == [False, True, False, True, False]


def test_last_words() -> None:
    assert last_words(b"Traceback\nMemoryError\n").endswith("has ended: MemoryError")
    assert last_words(b"").endswith("has ended: killed")
