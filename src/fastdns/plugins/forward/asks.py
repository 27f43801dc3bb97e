"""An Ask is one query to one upstream over TCP, TLS or HTTPS. Usual is how long the upstream's replies take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

Done = Callable[[bytes | None, str], None]

# A reused connection may have died unnoticed: a firewall or a NAT has dropped its state, or the upstream's host is
# gone. If it is silent for longer than the adaptive timeout, the query is sent again over another connection. The
# timeout is the mean reply time plus four deviations, as for datagrams (RFC 6298), between these bounds.
MIN_PATIENCE_S = 0.15
# Shorter than the time after which the engine asks another upstream.
MAX_PATIENCE_S = 0.5
# For a slow upstream the bound is this multiple of its mean, so that not every query is sent twice.
PATIENCE_MEANS = 1.5


class Usual:
    """How long an upstream takes to reply over open connections: the moving mean and deviation."""

    def __init__(self) -> None:
        self.mean_s: float | None = None
        self.deviation_s = 0.0

    def measure(self, took_s: float) -> None:
        """Add the time of one reply."""
        if self.mean_s is None:
            self.mean_s, self.deviation_s = took_s, took_s / 2
            return
        self.deviation_s += (abs(took_s - self.mean_s) - self.deviation_s) / 4
        self.mean_s += (took_s - self.mean_s) / 8

    @property
    def patience_s(self) -> float:
        """The adaptive timeout: after so long a silence, the query is sent over another connection as well."""
        mean_s = self.mean_s if self.mean_s is not None else MAX_PATIENCE_S
        longest_s = max(MAX_PATIENCE_S, PATIENCE_MEANS * mean_s)
        return min(max(mean_s + 4 * self.deviation_s, MIN_PATIENCE_S), longest_s)


class Holder(Protocol):
    """What an ask is at: the pool, while it waits for a connection, or the connection that it was sent over."""

    def abandon(self, ask: Ask) -> str:
        """Let an ask go. Returns what it was waiting for, as an error text."""


class Ask:
    """One query to one upstream. It ends once: with a reply, an error, its timeout, or when it is cancelled.

    It is at its holder. If a reused connection was silent for too long, the ask is sent over a second connection,
    which becomes the holder; the first one stays as ``silent``. The first reply ends the ask at both.
    """

    __slots__ = ("asked_again", "done", "holder", "hurry", "message", "sent_at", "silent", "silent_since", "timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, message: bytes, timeout_s: float, done: Done) -> None:
        self.message = message
        self.done: Done | None = done
        self.holder: Holder | None = None
        self.silent: Holder | None = None
        self.silent_since = 0.0
        # When the holder sent it.
        self.sent_at = 0.0
        self.asked_again = False
        self.timer = loop.call_later(timeout_s, self.time_out)
        # Fires when a reused connection was silent for the adaptive timeout.
        self.hurry: asyncio.TimerHandle | None = None

    def be_patient(self, hurry: asyncio.TimerHandle | None) -> None:
        """Replace the timer of the adaptive timeout; None stops it."""
        if self.hurry is not None:
            self.hurry.cancel()
        self.hurry = hurry

    def finish(self, by: Holder | None, reply: bytes | None, error: str) -> None:
        """End with a reply or an error, if it has not ended yet. by: the holder that has let it go already."""
        done, self.done = self.done, None
        self.leave(by)
        self.timer.cancel()
        if done is not None:
            done(reply, error)

    def fail(self, by: Holder, error: str) -> None:
        """A holder failed and has let it go. If the other connection is still waiting, go on there; else end."""
        if by is self.silent:
            self.silent = None
        elif by is self.holder:
            self.holder, self.silent = self.silent, None
        if self.holder is None:
            self.finish(None, None, error)

    def time_out(self) -> None:
        """The timeout is over: end with an error."""
        error = self.leave(None)
        self.finish(None, None, error)

    def cancel(self) -> None:
        """The reply is not needed any more. Does nothing if the ask has ended."""
        self.done = None
        self.leave(None)
        self.timer.cancel()

    def leave(self, by: Holder | None) -> str:
        """Leave all holders but by, which has let it go. Returns what they were waiting for, as an error text."""
        self.be_patient(None)
        holder, self.holder = self.holder, None
        silent, self.silent = self.silent, None
        errors = [one.abandon(self) for one in (silent, holder) if one is not None and one is not by]
        return errors[0] if errors else ""
