"""What a connection has still to send, against a plain account of every write."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastdns.transports.unsent import WRITE_EXTRA_BYTES, Unsent


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 5), st.integers(0, 3000)), max_size=30))
def test_a_write_is_held_until_all_of_it_is_sent(steps: list[tuple[int, int, int]]) -> None:
    unsent = Unsent()
    writes: list[tuple[int, int]] = []
    left = 0
    for size, replies, sent in steps:
        unsent.add(size, replies)
        writes.append((size, replies))
        left = max(0, left + size - sent)
        unsent.update(left)
        # The last writes, as many as it takes to have so many bytes.
        held: list[tuple[int, int]] = []
        while sum(size for size, _ in held) < left:
            held.append(writes[-1 - len(held)])
        assert unsent.held_bytes() == sum(size + WRITE_EXTRA_BYTES for size, _ in held)
        assert unsent.replies() == unsent.replies(left) == sum(replies for _, replies in held)


def test_replies_that_are_half_sent_are_not_sent() -> None:
    unsent = Unsent()
    for size, replies in ((10, 1), (20, 2), (30, 4)):
        unsent.add(size, replies)
    assert [unsent.replies(left) for left in (60, 51, 50, 31, 30, 1, 0)] == [7, 7, 6, 6, 4, 4, 0]
    unsent.clear()
    assert unsent.replies() == 0
