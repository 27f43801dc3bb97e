"""Takes frames out of the rings of all workers and gives them to their destinations: one place for all of them.

It is the supervisor's event loop that does so, because that outlives workers and configurations: a worker that dies
loses nothing that it has written, a reload does not end a connection, and a listener is one for all workers. Of
each ring a bounded number of bytes is moved at a time, as they are: nothing is done a message.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator

from fastdns.plugins.dnstap._ring import TapRing
from fastdns.plugins.dnstap.config import Destination
from fastdns.plugins.dnstap.shared import Rings, total_dropped
from fastdns.plugins.dnstap.sinks import Collector, Listener, Sink

log = logging.getLogger("plugin/dnstap")

# How late a message may be, and how soon it goes on where more is there than one turn moves.
INTERVAL_S = 0.02
BUSY_S = 0.001
BATCH_BYTES = 1 << 17
# Of one destination in one turn.
TURN_BYTES = 1 << 20
# As CoreDNS looks for errors.
WARN_S = 10.0


class Draining:
    """All destinations of all generations that have workers. Only for the supervisor's event loop.

    is_in_use: whether a generation serves, or has workers left.
    """

    def __init__(self, is_in_use: Callable[[int], bool]) -> None:
        self.is_in_use = is_in_use
        self.generations: dict[int, Rings] = {}
        self.sinks: dict[Destination, Sink] = {}
        # Of destinations and rings that are gone.
        self.sent_before: dict[str, int] = {}
        self.dropped_before: dict[str, int] = {}
        self.told_dropped = 0
        self.warn_at = time.monotonic() + WARN_S
        self.task: asyncio.Task[None] | None = None

    def follow(self, generation: int, rings: Rings) -> None:
        """These rings are those of the generation that serves from now on."""
        self.generations[generation] = rings

    def start(self) -> None:
        """Begin, where it has not begun."""
        if self.task is None:
            self.task = asyncio.get_running_loop().create_task(self.run())

    async def run(self) -> None:
        """Move frames until cancelled."""
        while True:
            try:
                busy = self.turn()
            except Exception:
                log.exception("moving messages failed; trying again")
                busy = False
            await asyncio.sleep(BUSY_S if busy else INTERVAL_S)

    def turn(self) -> bool:
        """Move what there is and may be moved. Returns whether it was as much as one turn may."""
        self.forget_gone()
        self.keep_sinks()
        busy = False
        for destination, sink in self.sinks.items():
            sink.look()
            rings = list(self.rings_of(destination))
            for ring in rings:
                ring.wanted = sink.is_wanted()
            busy = self.move(sink, rings) or busy
        self.warn()
        return busy

    def move(self, sink: Sink, rings: list[TapRing]) -> bool:
        """Give a destination what its rings hold. Returns whether more is left that it has room for."""
        left = TURN_BYTES
        # None is always the last one.
        rings.sort(key=lambda ring: ring.used_bytes, reverse=True)
        for ring in rings:
            while ring.used_bytes:
                room = min(BATCH_BYTES, sink.room())
                if room <= 0:
                    return False
                if left <= 0:
                    return True
                data, frames = ring.take(room)
                if frames:
                    sink.give(data, frames)
                left -= len(data)
        return False

    def rings_of(self, destination: Destination) -> Iterator[TapRing]:
        """Those of all generations."""
        for rings in self.generations.values():
            if destination in rings.destinations:
                yield from rings.of[rings.destinations.index(destination)]

    def keep_sinks(self) -> None:
        """Begin with destinations that are new, and end with those that nobody writes for any more."""
        wanted = {to for rings in self.generations.values() for to in rings.destinations}
        for destination in wanted - self.sinks.keys():
            self.sinks[destination] = Listener(destination) if destination.listen else Collector(destination)
            self.sinks[destination].start()
        for destination in self.sinks.keys() - wanted:
            sink = self.sinks.pop(destination)
            sink.close()
            self.remember(str(destination), sink.sent, sink.dropped)

    def forget_gone(self) -> None:
        """Forget the rings of generations that have ended. What their destinations have no room for is lost."""
        for generation, rings in list(self.generations.items()):
            if self.is_in_use(generation):
                continue
            for destination, own in zip(rings.destinations, rings.of, strict=True):
                sink = self.sinks.get(destination)
                if sink is not None:
                    self.move(sink, list(own))
                left = sum(count_left(ring) for ring in own)
                self.remember(str(destination), 0, total_dropped(own) + left)
            del self.generations[generation]

    def remember(self, destination: str, sent: int, dropped: int) -> None:
        """Keep counts of what is about to be forgotten."""
        self.sent_before[destination] = self.sent_before.get(destination, 0) + sent
        self.dropped_before[destination] = self.dropped_before.get(destination, 0) + dropped

    def counts(self) -> Iterator[tuple[str, int, int, int]]:
        """Each destination that is or was: sent and dropped messages, and connections."""
        found = {name: [sent, self.dropped_before.get(name, 0), 0] for name, sent in self.sent_before.items()}
        for name, dropped in self.dropped_before.items():
            found.setdefault(name, [0, dropped, 0])
        for destination, sink in self.sinks.items():
            one = found.setdefault(str(destination), [0, 0, 0])
            one[0] += sink.sent
            one[1] += sink.dropped + total_dropped(list(self.rings_of(destination)))
            one[2] += len(sink.connections)
        for name, (sent, dropped, connections) in found.items():
            yield name, sent, dropped, connections

    def warn(self, *, last: bool = False) -> None:
        """Say how many messages were dropped, at a bounded rate."""
        now = time.monotonic()
        if now < self.warn_at and not last:
            return
        self.warn_at = now + WARN_S
        dropped = sum(dropped for _, _, dropped, _ in self.counts())
        if dropped > self.told_dropped:
            log.warning("Dropped dnstap messages: %d", dropped - self.told_dropped)
        self.told_dropped = dropped

    def close(self) -> None:
        """The workers have ended: give what is left, as far as the connections take it, and end them."""
        if self.task is not None:
            self.task.cancel()
        for destination, sink in self.sinks.items():
            while self.move(sink, list(self.rings_of(destination))):
                pass
            sink.close()
        self.warn(last=True)


def count_left(ring: TapRing) -> int:
    """How many frames a ring holds; they are gone then."""
    count = 0
    while ring.used_bytes:
        _, frames = ring.take(BATCH_BYTES)
        count += frames
    return count
