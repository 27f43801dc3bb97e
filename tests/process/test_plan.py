"""What the supervisor should do next, case by case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.process.plan import (
    BACKOFF_MAX_S,
    STEADY_S,
    Action,
    Child,
    Drain,
    Kill,
    Spawn,
    State,
    died,
    generation_ready,
    next_wakeup,
    plan,
)

NOW = 1000.0


def worker(index: int = 0, generation: int = 1, **values: Any) -> Child:
    """A worker that runs well."""
    return replace(
        Child("worker", index, generation, pid=100 + index, started_at=NOW - 60, ready=True, last_beat=NOW - 0.2),
        **values,
    )


def place(index: int = 0, generation: int = 1, **values: Any) -> Child:
    """A worker's place that nobody has."""
    return replace(Child("worker", index, generation), **values)


def watcher(**values: Any) -> Child:
    return replace(Child("watcher", 0, 1, pid=50, started_at=NOW - 60, ready=True, last_beat=NOW - 1), **values)


@dataclass(frozen=True)
class Case:
    why: str
    children: tuple[Child, ...]
    wants: list[tuple[type[Action], int]]
    generation: int = 1
    stopping: bool = False


CASES = [
    Case("nothing to do while all is well", (watcher(), worker(0), worker(1)), []),
    Case("places are filled", (place(0), place(1)), [(Spawn, 0), (Spawn, 1)]),
    Case("a place whose time has come", (worker(0), place(1, retry_at=NOW)), [(Spawn, 1)]),
    Case("a place that has to wait", (worker(0), place(1, retry_at=NOW + 0.1)), []),
    Case("a worker that is not ready yet is left alone", (worker(ready=False, last_beat=None),), []),
    Case("it has its time to become so", (worker(ready=False, last_beat=NOW - 29),), []),
    Case("one that hangs before it is ready is ended", (worker(ready=False, last_beat=NOW - 31),), [(Kill, 0)]),
    Case("a silent worker is ended", (worker(last_beat=NOW - 3.1), worker(1)), [(Kill, 0)]),
    Case("a worker that was silent for a moment is not", (worker(last_beat=NOW - 2.9),), []),
    Case("a watcher may be busy for longer", (watcher(last_beat=NOW - 29),), []),
    Case("a silent watcher is ended", (watcher(last_beat=NOW - 31),), [(Kill, 0)]),
    Case("what is killed already is not killed again", (worker(last_beat=NOW - 60, killed=True),), []),
    Case("a new generation comes up beside the old", (worker(0), place(0, 2)), [(Spawn, 0)]),
    Case("the old serves until the new is said to", (worker(0), worker(0, 2)), []),
    Case("the old goes when the new serves", (worker(0), worker(0, 2)), [(Drain, 0)], generation=2),
    Case(
        "the old goes although a new one has just died", (worker(1), worker(0, 2), place(1, 2)),
        [(Drain, 1), (Spawn, 1)], generation=2,
    ),
    Case("a dead worker of the old is not replaced", (place(0), worker(0, 2)), [], generation=2),
    Case("while the new comes up it is", (place(0), worker(0, 2)), [(Spawn, 0)]),
    Case("the watcher outlives generations", (watcher(), worker(0, 2)), [], generation=2),
    Case("who drains has time", (worker(draining=True, drain_deadline=NOW + 1),), [], stopping=True),
    Case("but not for ever", (worker(draining=True, drain_deadline=NOW),), [(Kill, 0)], stopping=True),
    Case("it need not beat", (worker(draining=True, drain_deadline=NOW + 1, last_beat=1.0),), []),
    Case("a place that is given up stays empty", (place(draining=True),), []),
    Case("the end is everybody's", (watcher(), worker(0), worker(0, 2)), [(Drain, 0)] * 3, stopping=True),
    Case("nothing is started at the end", (place(0),), [], stopping=True),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_plan(case: Case) -> None:
    actions = plan(State(case.generation, case.children, case.stopping), NOW)
    assert [(type(action), action.child.index) for action in actions] == case.wants


def test_why_a_child_is_killed() -> None:
    silent, slow = plan(State(1, (worker(last_beat=NOW - 4), worker(draining=True, drain_deadline=NOW - 1))), NOW)
    assert isinstance(silent, Kill) and silent.why == "no heartbeat for 4.0 s"
    assert isinstance(slow, Kill) and slow.why == "it did not finish within the drain time"


@pytest.mark.parametrize(
    ("children", "ready"),
    [
        ((), True),
        ((worker(0, 2), worker(1, 2)), True),
        ((worker(0, 2), place(1, 2)), False),
        ((worker(0, 2), worker(1, 2, ready=False)), False),
        ((worker(0, 2), place(1, 1), watcher(ready=False)), True),
    ],
)
def test_generation_ready(children: tuple[Child, ...], ready: bool) -> None:
    assert generation_ready(State(1, children), 2) is ready


def test_deaths_back_off_until_a_child_was_steady() -> None:
    child, now, waits = worker(), NOW, []
    for _ in range(10):
        child = died(replace(child, pid=7, ready=True, ready_at=now - 0.1, killed=True), now)
        assert child.pid is None and not child.ready and not child.killed and child.last_beat is None
        waits.append(round(child.retry_at - now, 3))
        now = child.retry_at
    assert waits == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, BACKOFF_MAX_S, BACKOFF_MAX_S]
    assert died(replace(child, pid=7, ready=True, ready_at=now - STEADY_S), now).failures == 0
    # Old age without ever having been ready is no steadiness.
    assert died(replace(child, pid=7, ready=False, ready_at=now - 60), now).failures == 11


@pytest.mark.parametrize(
    ("children", "wait_s"),
    [
        ((worker(),), 1.0),
        ((worker(), place(retry_at=NOW + 0.4)), 0.4),
        ((worker(draining=True, drain_deadline=NOW + 0.3), place(retry_at=NOW + 0.4)), 0.3),
        ((worker(draining=True, drain_deadline=float("inf")),), 1.0),
        ((place(retry_at=NOW - 5),), 0.01),
    ],
)
def test_next_wakeup(children: tuple[Child, ...], wait_s: float) -> None:
    assert next_wakeup(State(1, children), NOW) == pytest.approx(wait_s)


children_of = st.builds(
    Child,
    role=st.sampled_from(["worker", "watcher"]),
    index=st.integers(0, 3),
    generation=st.integers(1, 3),
    pid=st.one_of(st.none(), st.integers(2, 9)),
    ready=st.booleans(),
    draining=st.booleans(),
    drain_deadline=st.floats(NOW - 10, NOW + 10),
    last_beat=st.one_of(st.none(), st.floats(NOW - 60, NOW)),
    retry_at=st.floats(NOW - 10, NOW + 10),
    killed=st.booleans(),
)


@given(st.lists(children_of, max_size=8), st.booleans())
def test_rules_that_always_hold(children: list[Child], stopping: bool) -> None:
    actions = plan(State(2, tuple(children), stopping), NOW)
    # At most one thing a child; only what does not run is started, only what runs is ended.
    assert len(actions) <= len(children)
    for action in actions:
        assert isinstance(action, Spawn) == (action.child.pid is None)
        assert not action.child.killed or isinstance(action, Spawn)
        if isinstance(action, Spawn):
            assert not stopping and action.child.retry_at <= NOW and not action.child.draining
        if isinstance(action, Drain):
            assert not action.child.draining
            assert stopping or (action.child.role == "worker" and action.child.generation == 1)
