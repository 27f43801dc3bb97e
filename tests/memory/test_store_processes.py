"""The zone store while writers and readers run on all cores, and are killed at every point."""

from __future__ import annotations

import hashlib
import mmap
import os
import random
import signal
import struct
import time
from collections.abc import Callable

import pytest

from fastdns.errors import StoreFull
from fastdns.memory._store import Store, Writer
from tests.memory.stepping import Changes, copied, stopped
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


# At every instruction


CHANGES: list[tuple[str, Callable[[Writer], object], bytes, bytes | None]] = [
    ("a new key", lambda writer: writer.publish(b"new", b"n" * 100), b"new", b"n" * 100),
    ("another payload", lambda writer: writer.publish(b"key-7", b"other" * 20), b"key-7", b"other" * 20),
    ("a removal", lambda writer: writer.remove(b"key-7"), b"key-7", None),
    ("an index that grows", lambda writer: writer.publish(b"last", b"l" * 30), b"last", b"l" * 30),
    ("space that comes back", lambda writer: writer.reclaim(), b"key-7", b"7" * 90),
    ("records that move", lambda writer: writer.reclaim(), b"moved-9", b"m" * 400),
]


@pytest.mark.parametrize(
    ("change", "key", "after"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES]
)
def test_a_writer_may_die_at_any_instruction(
    change: Callable[[Writer], object], key: bytes, after: bytes | None
) -> None:
    """After each instruction that changes the memory: readers find the old or the new, a successor carries on."""
    store = Store(STORE_BYTES)
    writer = Writer(store)
    # As many as the first index of 1,024 slots takes; or a few, and some that have been replaced.
    for number in range(768 if key == b"last" else 60):
        writer.publish(b"key-%d" % number, b"%d" % (number % 10) * 90)
    for number in range(1, 60, 9):
        if key != b"last":
            writer.publish(b"key-%d" % number, b"%d" % (number % 10) * 90)
    if key == b"moved-9":
        # So far apart afterwards that those that are left are brought together.
        for number in range(215):
            writer.publish(b"moved-%d" % number, b"m" * 400)
        for number in range(215):
            if number % 3:
                writer.remove(b"moved-%d" % number)
    expected = dict(store.items())
    before = expected.pop(key, None)

    def check(image: bytes) -> bytes | None:
        """Of the store as it is: what its readers and a successor make of it."""
        seen = store.get(key)
        assert seen in (before, after), "torn"
        now = copied(store, image)
        assert {found: payload for found, payload in now.items() if found != key} == expected
        successor = Writer(now)
        assert now.get(key) == seen
        assert now.records == len(expected) + (seen is not None)
        for _ in range(3):
            successor.publish(b"more", b"m" * 400)
            successor.reclaim()
        assert now.get(key) == seen
        assert {found: payload for found, payload in now.items() if found not in (key, b"more")} == expected
        return seen

    chance = random.Random(7)
    states: list[bytes | None] = []
    has_changed = Changes(store)
    with stopped(lambda: change(writer)) as step:
        while step():
            # An index that is copied changes at a thousand instructions: some of these.
            if has_changed() and (len(states) < 100 or chance.random() < 0.05 or store.get(key) != states[-1]):
                states.append(check(has_changed.image))
    assert states
    if key == b"moved-9":
        # The slots of those that moved, and what they lead to.
        assert len(states) > 50
    assert store.get(key) == after
    # Once it is new it does not become old again.
    assert states == sorted(states, key=lambda state: state == after)
