"""Responses of the transports that have statuses, counted in memory that the supervisor shares with its workers."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable

from fastdns.metrics._labelled import LabelledCounters


class ResponseCounts:
    """By scheme, listener and status. Made before the workers are forked."""

    def __init__(self) -> None:
        self.counters = LabelledCounters()
        self.numbers: dict[tuple[str, str, str], int] = {}

    def know(self, scheme: str, server: str, statuses: Iterable[str]) -> None:
        """There may be such responses of a listener. Known before the fork of whoever counts them."""
        for status in statuses:
            labels = (scheme, server, status)
            self.numbers[labels] = self.counters.number(labels)

    def counter(self, scheme: str, server: str) -> Callable[[int], None]:
        """What counts a response of a listener, by its status. One that is not known is counted as nothing."""
        numbers = {
            int(status, 0): number
            for (known_scheme, known_server, status), number in self.numbers.items()
            if (known_scheme, known_server) == (scheme, server)
        }

        def count(status: int) -> None:
            number = numbers.get(status)
            if number is not None:
                self.counters.count(0, number, 0, 0)

        return count

    def sums(self) -> Counter[tuple[object, ...]]:
        """What was counted by all processes so far, by scheme, listener and status."""
        sums: Counter[tuple[object, ...]] = Counter()
        for (_, labels, _, _), count in self.counters.counts():
            sums[labels] += count
        return sums


@functools.cache
def responses() -> ResponseCounts:
    """Of all listeners. The supervisor asks first: its children have what it has."""
    return ResponseCounts()
