"""What the supervisor should do next, as a pure function of what it sees. No process is touched here."""

from __future__ import annotations

from dataclasses import dataclass, replace

# A process that dies sooner than this after it was ready waits before the next try, from the second time on.
STEADY_S = 1.0
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 10.0
# A worker's threads beat every 0.25 s, the watcher each second; a live one that is silent for so long hangs.
# The watcher may be busy with a whole cluster's listing.
HANG_S = {"worker": 3.0, "watcher": 30.0}
# One that is not ready so long after its start will not be. A new generation has failed by then.
START_S = 30.0


@dataclass(frozen=True, slots=True)
class Child:
    """One process: what it is, and how it is doing. Times are of CLOCK_MONOTONIC, in seconds."""

    role: str  # "worker" or "watcher"
    index: int
    generation: int
    pid: int | None = None
    started_at: float = 0.0
    ready: bool = False
    ready_at: float = 0.0
    draining: bool = False
    drain_deadline: float = 0.0
    last_beat: float | None = None  # until it is ready: its start
    failures: int = 0
    retry_at: float = 0.0
    killed: bool = False


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start the process of a place that has none."""

    child: Child


@dataclass(frozen=True, slots=True)
class Drain:
    """Let a process finish what it has and end, until the deadline."""

    child: Child


@dataclass(frozen=True, slots=True)
class Kill:
    """End a process now."""

    child: Child
    why: str


Action = Spawn | Drain | Kill


@dataclass(frozen=True, slots=True)
class State:
    """All places of all generations. generation is the one that serves: younger ones come up, older ones go."""

    generation: int
    children: tuple[Child, ...] = ()
    stopping: bool = False


def generation_ready(state: State, generation: int) -> bool:
    """Whether every worker of a generation has said ready."""
    return all(
        child.ready for child in state.children if child.role == "worker" and child.generation == generation
    )


def died(child: Child, now: float) -> Child:
    """The place after its process has ended: when it may be filled again."""
    steady = child.ready and now - child.ready_at >= STEADY_S
    failures = 0 if steady else child.failures + 1
    wait = 0.0 if failures <= 1 else min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** (failures - 2))
    return replace(
        child, pid=None, ready=False, last_beat=None, failures=failures, retry_at=now + wait, killed=False
    )


def plan(state: State, now: float) -> list[Action]:
    """The actions that are due now, in the order in which they should be done."""
    actions: list[Action] = []
    for child in state.children:
        over = state.stopping or (child.role == "worker" and child.generation < state.generation)
        if child.pid is None:
            if not over and not child.draining and now >= child.retry_at:
                actions.append(Spawn(child))
            continue
        if child.killed:
            continue
        if child.draining:
            if now >= child.drain_deadline:
                actions.append(Kill(child, "it did not finish within the drain time"))
            continue
        if over:
            actions.append(Drain(child))
            continue
        silent_s = 0.0 if child.last_beat is None else now - child.last_beat
        if child.ready and silent_s > HANG_S[child.role]:
            actions.append(Kill(child, f"no heartbeat for {silent_s:.1f} s"))
        elif not child.ready and silent_s > START_S:
            actions.append(Kill(child, f"not ready {silent_s:.1f} s after its start"))
    return actions


def next_wakeup(state: State, now: float) -> float:
    """Seconds until plan may have something new to say, without any event."""
    due = [1.0]
    for child in state.children:
        if child.pid is None:
            due.append(child.retry_at - now)
        elif child.draining:
            due.append(child.drain_deadline - now)
    return max(0.01, min(due))
