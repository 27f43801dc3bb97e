"""A worker has two threads, and lives as long as both do: what the supervisor makes of one that is silent."""

from __future__ import annotations

import time

import pytest

from fastdns.corefile import load
from fastdns.process.children import key_of
from fastdns.process.plan import Child, Kill, plan
from fastdns.process.processes import channel_pair
from fastdns.process.server import Running, Settings
from fastdns.process.supervisor import Supervisor
from fastdns.process.worker import Slots

HOT, SLOW = 4, 5
AGE_S = 60.0


@pytest.mark.parametrize(
    ("hot_s", "slow_s", "ends"),
    [
        (0.2, 0.2, None),
        (2.5, 2.5, None),
        (3.5, 0.2, 3.5),
        (0.2, 3.5, 3.5),
        (5.0, 3.5, 5.0),
        (None, 0.2, AGE_S),
        (0.2, None, AGE_S),
    ],
    ids=[
        "both beat", "both were silent for a moment", "the hot one is silent", "the slow one is silent",
        "the longer silence counts", "the hot one has never beaten", "the slow one has never beaten",
    ],
)  # fmt: skip
def test_the_silence_of_either_thread_ends_a_worker(
    hot_s: float | None, slow_s: float | None, ends: float | None
) -> None:
    """hot_s, slow_s: how long ago they beat, in seconds. ends: the silence for which the worker is killed."""
    config = load(".:5300 {\nwhoami\n}\n", environ={})
    supervisor = Supervisor(Settings(lambda: config, lambda config: None, {}), config)
    now = time.monotonic()
    # It has run for longer than any silence here.
    supervisor.resumed_at = now - 2 * AGE_S
    child = Child("worker", 0, 1, pid=1, started_at=now - AGE_S, ready=True, ready_at=now - AGE_S)
    ours, theirs = channel_pair()
    supervisor.children[key_of(child)] = child
    supervisor.running[key_of(child)] = Running(ours, Slots(HOT, SLOW))
    for slot, silent_s in ((HOT, hot_s), (SLOW, slow_s)):
        if silent_s is not None:
            supervisor.stats.beat(slot, int((now - silent_s) * 1e9))
    kills = [action for action in plan(supervisor.state(), now) if isinstance(action, Kill)]
    assert [kill.why for kill in kills] == ([] if ends is None else [f"no heartbeat for {ends:.1f} s"])
    ours.close()
    theirs.close()
