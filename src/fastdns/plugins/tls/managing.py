"""Keeps certificates by ACME: orders, renews, tries again. Each order is made by a child of the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial

from fastdns.errors import FastdnsError
from fastdns.plugins.tls._challenges import Challenges
from fastdns.plugins.tls.acme import Acme

log = logging.getLogger("plugin/tls")

# What one order may take, with all that the child imports.
LIMIT_S = 300.0
# Between tries after failures: doubled each time. Let's Encrypt takes five failures an hour for a name.
RETRY_S = 120.0
MAX_RETRY_S = 6 * 3600.0
# The clock may be set, and files may be replaced: at least so often it is looked at what there is.
LOOK_S = 12 * 3600.0

# Runs a call in a child of the supervisor: see SupervisorView.in_child.
InChild = Callable[..., Awaitable[bytes]]


class Certificate:
    """One that is kept. due_s: when something is to be done, as the monotonic clock has it."""

    def __init__(self, acme: Acme) -> None:
        self.acme = acme
        self.due_s = time.monotonic()
        self.failures = 0
        self.not_after_s = 0.0

    def kept(self, ordered: bool, not_after_s: float, renew_at_s: float) -> None:
        """There is one, until then."""
        if ordered:
            until = datetime.fromtimestamp(not_after_s, UTC)
            log.info("Certificate for %s obtained from %s, valid until %s", self.acme, self.acme.url, until)
        elif self.not_after_s != not_after_s:
            log.info("Certificate for %s is valid until %s", self.acme, datetime.fromtimestamp(not_after_s, UTC))
        self.failures = 0
        self.not_after_s = not_after_s
        # One whose time is over when it comes is not ordered again at once.
        self.due_s = time.monotonic() + min(max(renew_at_s - time.time(), RETRY_S), LOOK_S)

    def failed(self, why: str) -> None:
        """There is none, or still the one before."""
        wait_s = min(RETRY_S * 2**self.failures, MAX_RETRY_S)
        tell = log.error if not self.failures else log.debug
        tell(
            "Certificate for %s could not be obtained from %s: %s; trying again in %g s, and then more and more "
            "seldom, every %g h at least", self.acme, self.acme.url, why, wait_s, MAX_RETRY_S / 3600,
        )  # fmt: skip
        # A shift by more bits than this changes nothing.
        self.failures = min(self.failures + 1, 32)
        self.due_s = time.monotonic() + wait_s


class Managing:
    """All certificates of the configuration that serves. in_child: where orders are made."""

    def __init__(self, in_child: InChild) -> None:
        self.in_child = in_child
        self.challenges = Challenges()
        self.certificates: dict[tuple[object, ...], Certificate] = {}
        self.wake = asyncio.Event()
        self.orders: Counter[str] = Counter()

    def serves(self, wanted: Iterable[Acme]) -> None:
        """These are to be kept from now on. All are looked at at once, and what has failed is tried again."""
        known = self.certificates
        self.certificates = {acme.identity: known.get(acme.identity) or Certificate(acme) for acme in wanted}
        for one in self.certificates.values():
            one.failures, one.due_s = 0, time.monotonic()
        self.wake.set()

    async def run(self) -> None:
        """Do what is due, one certificate after the other."""
        while True:
            self.wake.clear()
            for one in list(self.certificates.values()):
                if one.due_s <= time.monotonic() and self.certificates.get(one.acme.identity) is one:
                    await self.keep(one)
            next_s = min((one.due_s for one in self.certificates.values()), default=time.monotonic() + LOOK_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(next_s - time.monotonic()):
                    await self.wake.wait()

    async def keep(self, one: Certificate) -> None:
        """See whether a certificate is to be ordered, and order it."""
        try:
            told = await self.in_child(
                "certificates", partial(in_child, one.acme, self.challenges), limit_s=LIMIT_S, needed=True
            )
            found = json.loads(told)
        except FastdnsError as error:
            found = {"error": str(error)}
        finally:
            # A child that was killed has left what it has presented.
            self.challenges.present([])
        if "error" in found:
            self.orders["failed"] += 1
            one.failed(found["error"])
        else:
            self.orders["obtained"] += found["ordered"]
            one.kept(found["ordered"], found["not_after"], found["renew_at"])


def in_child(acme: Acme, challenges: Challenges) -> bytes:
    """What the child does: see ordering.keep."""
    # Only here: it imports 30 MiB.
    from fastdns.plugins.tls.ordering import keep

    return keep(acme, challenges.present)
