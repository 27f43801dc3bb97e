"""Whose counter of kills for memory is read, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastdns.process.oom import RECENT_S, OomKills

V1 = "9:name=systemd:/\n4:memory:/pods/a\n3:cpuset:/\n"
V2 = "0::/pods/a\n"
EVENTS = "low 0\nhigh 3\nmax 7\noom 2\noom_kill {}\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"


@pytest.mark.parametrize(
    ("groups", "file", "text"),
    [
        pytest.param(V2, "cgroup/pods/a/memory.events", EVENTS, id="version 2"),
        pytest.param(V2, "cgroup/memory.events", EVENTS, id="version 2 in a container"),
        pytest.param(V1 + "0::/\n", "cgroup/memory/pods/a/memory.oom_control", CONTROL, id="version 1"),
        pytest.param(V1, "cgroup/memory/memory.oom_control", CONTROL, id="version 1 in a container"),
        pytest.param(V2, "vmstat", "nr_free_pages 5\noom_kill {}\n", id="no group"),
        pytest.param(
            "nonsense\n" + V2, "cgroup/memory.events", EVENTS, id="a line that is nonsense hides no other"
        ),
        pytest.param("nonsense\n", "vmstat", "oom_kill {}\n", id="nonsense"),
    ],
)
def test_the_counter_that_is_nearest(tmp_path: Path, groups: str, file: str, text: str) -> None:
    (tmp_path / "groups").write_text(groups)
    (tmp_path / "vmstat").write_text("oom_kill 100\n")
    counter = tmp_path / file
    counter.parent.mkdir(parents=True, exist_ok=True)
    counter.write_text(text.format(5))
    kills = OomKills(tmp_path / "groups", tmp_path / "cgroup", tmp_path / "vmstat")
    assert kills.look(10.0) == "", "what was before is of others"
    counter.write_text(text.format(7))
    assert "out of memory" in kills.look(20.0)
    assert ("host" in kills.look(20.0)) == (file == "vmstat")
    assert "out of memory" in kills.look(20.0 + RECENT_S / 2), "two may go at once"
    assert kills.look(20.1 + RECENT_S) == ""


def test_no_counter_at_all(tmp_path: Path) -> None:
    kills = OomKills(tmp_path / "groups", tmp_path / "cgroup", tmp_path / "vmstat")
    assert kills.look(1.0) == ""
    (tmp_path / "vmstat").write_text("oom_kill many\n")
    assert kills.look(2.0) == ""
