"""One query to one upstream over streams, from its start to its only end; and how long a reply usually takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

Done = Callable[[bytes | None, str], None]

# A connection that is reused and silent for longer may have died without a word: a firewall or a NAT has forgotten
# it, or the peer's host is gone. As for datagrams (RFC 6298): what is usual is the mean and four deviations.
MIN_PATIENCE_S = 0.15
# Less than a table of questions waits before it asks another upstream.
MAX_PATIENCE_S = 0.5
# Of the mean: an upstream that is slow to everybody is not asked everything twice.
PATIENCE_MEANS = 1.5


class Usual:
    """How long an upstream takes to reply over connections that are open."""

    def __init__(self) -> None:
        self.mean_s: float | None = None
        self.deviation_s = 0.0

    def measure(self, took_s: float) -> None:
        """One more reply has come."""
        if self.mean_s is None:
            self.mean_s, self.deviation_s = took_s, took_s / 2
            return
        self.deviation_s += (abs(took_s - self.mean_s) - self.deviation_s) / 4
        self.mean_s += (took_s - self.mean_s) / 8

    @property
    def patience_s(self) -> float:
        """How long a silence is still ordinary."""
        mean_s = self.mean_s if self.mean_s is not None else MAX_PATIENCE_S
        longest_s = max(MAX_PATIENCE_S, PATIENCE_MEANS * mean_s)
        return min(max(mean_s + 4 * self.deviation_s, MIN_PATIENCE_S), longest_s)


class Holder(Protocol):
    """Whoever works on an ask: the pool where it waits for a connection, or a connection that it was sent over."""

    def abandon(self, ask: Ask) -> str:
        """Part from an ask; returns what it has waited for, as an error."""


class Ask:
    """One query to one upstream, until it has a reply, an error, or no more time; or is cancelled.

    At most two work on it: beside the holder the reused connection that was silent for so long that the query was
    asked again elsewhere. Whichever has the reply first ends the ask for both.
    """

    __slots__ = ("asked_again", "done", "holder", "hurry", "message", "sent_at", "silent", "silent_since", "timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, message: bytes, timeout_s: float, done: Done) -> None:
        self.message = message
        self.done: Done | None = done
        self.holder: Holder | None = None
        self.silent: Holder | None = None
        self.silent_since = 0.0
        # When it was sent to the holder.
        self.sent_at = 0.0
        self.asked_again = False
        self.timer = loop.call_later(timeout_s, self.time_out)
        # Ends the patience with a reused connection.
        self.hurry: asyncio.TimerHandle | None = None

    def be_patient(self, hurry: asyncio.TimerHandle | None) -> None:
        """The timer of the connection that it is on now, in place of that of another."""
        if self.hurry is not None:
            self.hurry.cancel()
        self.hurry = hurry

    def finish(self, by: Holder | None, reply: bytes | None, error: str) -> None:
        """Tell the reply or the error, unless it has ended before. by: who knows of it, and has let it go."""
        done, self.done = self.done, None
        self.leave(by)
        self.timer.cancel()
        if done is not None:
            done(reply, error)

    def fail(self, by: Holder, error: str) -> None:
        """Whoever worked on it has let it go. Another one may still have the reply; if not, that is its end."""
        if by is self.silent:
            self.silent = None
        elif by is self.holder:
            self.holder, self.silent = self.silent, None
        if self.holder is None:
            self.finish(None, None, error)

    def time_out(self) -> None:
        """Its time is over."""
        error = self.leave(None)
        self.finish(None, None, error)

    def cancel(self) -> None:
        """Nobody wants the reply any more. Does nothing to an ask that has ended."""
        self.done = None
        self.leave(None)
        self.timer.cancel()

    def leave(self, by: Holder | None) -> str:
        """Part from those who work on it, but for the one that has let it go. What they waited for, as an error."""
        self.be_patient(None)
        holder, self.holder = self.holder, None
        silent, self.silent = self.silent, None
        errors = [one.abandon(self) for one in (silent, holder) if one is not None and one is not by]
        return errors[0] if errors else ""
