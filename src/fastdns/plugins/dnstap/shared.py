"""The rings of a configuration's destinations: made before the fork, one for each thread of each worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastdns.corefile.model import ServerConfig
from fastdns.plugins.dnstap._ring import TapRing
from fastdns.plugins.dnstap.config import Destination

# As long as a message may be that has no DNS message, with room for a short one: the queue counts messages.
MESSAGE_BYTES = 256
QUEUE_MESSAGES = 10_000
HOT_RING_BYTES = 1 << 19
SLOW_RING_BYTES = 1 << 18
HOT, SLOW = 0, 1


@dataclass(frozen=True, slots=True)
class Rings:
    """destinations: each once, in order. of: for each of them two rings a worker, the UDP thread's and the event
    loop's."""

    destinations: tuple[Destination, ...]
    of: tuple[tuple[TapRing, ...], ...]

    def of_thread(self, worker: int, thread: int) -> list[TapRing]:
        """The rings of one thread of a worker, by the number of the destination."""
        return [rings[2 * worker + thread] for rings in self.of]


def ring_bytes(queue: int, workers: int) -> int:
    """The room of one UDP thread's ring: all together hold the queue, if it is not less than the least."""
    wanted = queue * QUEUE_MESSAGES * MESSAGE_BYTES // workers
    return max(HOT_RING_BYTES, 1 << (wanted - 1).bit_length())


def make_rings(config: ServerConfig, workers: int) -> Rings:
    """The rings of a configuration. Raises MemoryError."""
    taps = [tap for _, options in config.with_plugin("dnstap") for tap in options.taps]
    destinations: tuple[Destination, ...] = tuple(dict.fromkeys(tap.destination for tap in taps))
    return Rings(destinations, tuple(rings_for(destination, workers) for destination in destinations))


def rings_for(destination: Destination, workers: int) -> tuple[TapRing, ...]:
    """The rings of one destination. What is written before anybody looks waits for a collector, for no reader."""
    sizes = (ring_bytes(destination.queue, workers), SLOW_RING_BYTES)
    rings = tuple(TapRing(size) for _ in range(workers) for size in sizes)
    for ring in rings:
        ring.wanted = not destination.listen
    return rings


def total_dropped(rings: Sequence[TapRing]) -> int:
    """How many frames found no room in them."""
    return sum(ring.dropped for ring in rings)
