"""The zone store when its writer dies after any instruction that changes it: what is served, and what follows."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from fastdns.memory._store import Store, Writer
from tests.memory.stepping import Changes, copied, stopped

pytestmark = pytest.mark.native

STORE_BYTES = 1 << 20
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
