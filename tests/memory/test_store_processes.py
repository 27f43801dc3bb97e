"""The zone store while writers and readers run on all cores, and are killed at any time."""

from __future__ import annotations

import hashlib
import mmap
import os
import random
import signal
import struct
import time

import pytest

from fastdns.errors import StoreFull
from fastdns.memory._store import Store, Writer
from tests.support import in_child

pytestmark = [pytest.mark.alone, pytest.mark.native]

STORE_BYTES = 1 << 20
KEYS = 40
# Words that the processes share: of each key the number of the last change that was complete, doubled, and one more
# where that was a removal; then the number of the writer's last change.
WORD = struct.Struct("=Q")


def key_of(number: int) -> bytes:
    """The first half of them stay, the others come and go."""
    return b"key-%d" % number


def payload_of(key: bytes, change: int) -> bytes:
    """What a reader can check: bytes that follow from the key and the number of the change."""
    head = WORD.pack(change)
    return head + hashlib.shake_128(key + head).digest(change * 7919 % 5000)


class Shared:
    """Words in memory that forked processes share. Each is written by one process, whole."""

    def __init__(self, count: int) -> None:
        self.memory = mmap.mmap(-1, 8 * count)
        self.words = memoryview(self.memory).cast("Q")

    def __getitem__(self, at: int) -> int:
        return self.words[at]

    def __setitem__(self, at: int, value: int) -> None:
        self.words[at] = value


def write_for_ever(store: Store, done: Shared, seed: int) -> None:
    """Publish and remove, and say of each change that it is complete, afterwards."""
    chance = random.Random(seed)
    writer = Writer(store)
    while True:
        number = chance.randrange(KEYS)
        key = key_of(number)
        # Before it happens: whoever follows goes on with higher numbers.
        done[KEYS] = change = done[KEYS] + 1
        if number >= KEYS // 2 and chance.random() < 0.4:
            writer.remove(key)
            done[number] = 2 * change + 1
        else:
            try:
                writer.publish(key, payload_of(key, change))
                done[number] = 2 * change
            except StoreFull:
                # A reader that has no CPU keeps what has been replaced since.
                time.sleep(0.001)
        if chance.random() < 0.2:
            writer.reclaim()


def read_for(store: Store, slot: int, done: Shared, seed: int, seconds: float) -> None:
    """Whatever is found is whole, the key's own, and no older than what was complete before."""
    chance = random.Random(seed)
    ends = time.monotonic() + seconds
    found = 0
    while time.monotonic() < ends:
        store.enter_reader(slot)
        for _ in range(20):
            number = chance.randrange(KEYS)
            key = key_of(number)
            before = done[number]
            payload = store.get(key)
            if payload is None:
                # A removal that is complete, or on its way.
                assert number >= KEYS // 2 or not before, f"{key!r} is lost"
                continue
            (change,) = WORD.unpack_from(payload)
            assert payload == payload_of(key, change), "torn or mixed"
            assert change >= before >> 1, f"{key!r} is older than what was complete"
            assert change > before >> 1 or not before & 1, f"{key!r} is back after its removal"
            found += 1
        store.clear_reader(slot)
    assert found > 1000, f"only {found} found"


def test_nothing_is_torn_mixed_lost_or_back_while_processes_die_on_all_cores() -> None:
    """One writer at a time, killed and followed by the next; readers, too, in the middle of an epoch."""
    store = Store(STORE_BYTES)
    done = Shared(KEYS + 1)
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    cores = max(2, os.cpu_count() or 1)
    ends = time.monotonic() + 6.0

    def reader(slot: int, seconds: float) -> int:
        own = chance.randrange(1 << 32)
        return in_child(lambda: read_for(store, slot, done, own, seconds))

    readers = {slot: reader(slot, 3.0) for slot in range(cores)}
    victim = 0
    finished = killed = writers = 0
    # A slow machine takes longer until all of it has happened.
    def is_enough() -> bool:
        return (killed > 2 and writers > 20) or time.monotonic() > ends + 40

    while time.monotonic() < ends or readers or not is_enough():
        own = chance.randrange(1 << 32)
        writer = in_child(lambda own=own: write_for_ever(store, done, own))
        writers += 1
        time.sleep(chance.uniform(0.0, 0.03))
        os.kill(writer, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) == -signal.SIGKILL
        if not victim:
            victim = reader(cores, 60.0)
        elif chance.random() < 0.3:
            os.kill(victim, signal.SIGKILL)
            assert os.waitstatus_to_exitcode(os.waitpid(victim, 0)[1]) == -signal.SIGKILL
            # As the supervisor does.
            store.clear_reader(cores)
            victim = 0
            killed += 1
        for slot, pid in list(readers.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                assert os.waitstatus_to_exitcode(status) == 0
                del readers[slot]
                finished += 1
                if time.monotonic() < ends:
                    readers[slot] = reader(slot, 3.0)
    if victim:
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        store.clear_reader(cores)
    assert finished >= cores and killed > 2 and writers > 20
    # What dead processes held comes back: everything fits many times over.
    last = Writer(store)
    for change in range(1, 3000):
        last.publish(b"key-0", payload_of(b"key-0", change))
    assert store.get(b"key-0") == payload_of(b"key-0", 2999)
