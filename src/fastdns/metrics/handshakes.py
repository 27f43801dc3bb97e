"""What becomes of TLS handshakes with clients, counted in memory that the supervisor shares with its workers."""

from __future__ import annotations

import functools
from collections import Counter

from fastdns.metrics._labelled import LabelledCounters

# The version of TLS, and whether an earlier session was resumed.
COMPLETE = tuple((version, resumed) for version in ("1.2", "1.3") for resumed in ("no", "yes"))
# Why others are not complete.
FAILED = ("malformed", "no_common", "certificate", "alert", "closed")


class HandshakeCounts:
    """Made before the workers are forked."""

    def __init__(self) -> None:
        self.counters = LabelledCounters()
        self.numbers = {labels: self.counters.number(labels) for labels in (*COMPLETE, *((why,) for why in FAILED))}

    def complete(self, version: str, resumed: bool) -> None:
        """One more, with a version as ``ssl`` names it. Raises KeyError for one that is not served."""
        self.count((version.removeprefix("TLSv"), "yes" if resumed else "no"))

    def failed(self, why: str) -> None:
        """One more that has failed, for a reason of FAILED. Raises KeyError for another."""
        self.count((why,))

    def count(self, labels: tuple[str, ...]) -> None:
        """One more with these labels."""
        self.counters.count(0, self.numbers[labels], 0, 0)

    def sums(self) -> Counter[tuple[object, ...]]:
        """What was counted by all processes so far, by labels."""
        sums: Counter[tuple[object, ...]] = Counter()
        for (_, labels, _, _), count in self.counters.counts():
            sums[labels] += count
        return sums


@functools.cache
def handshakes() -> HandshakeCounts:
    """With all listeners. The supervisor asks first: its children have what it has."""
    return HandshakeCounts()
