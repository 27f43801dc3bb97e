"""The ring of frames: what goes in comes out whole and in order, or is counted as dropped."""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.plugins.dnstap._ring import TapRing
from tests.support import in_child

pytestmark = pytest.mark.native

ROOM = 1 << 18
BATCH = 1 << 17


def frames(data: bytes) -> list[bytes]:
    """The frames of what take has given."""
    found = []
    while data:
        (size,) = struct.unpack_from(">I", data)
        assert 0 < size <= len(data) - 4
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


STEPS = st.one_of(st.integers(1, 300), st.integers(1, 70_000), st.none(), st.integers(-BATCH, -1))


@given(st.lists(STEPS, max_size=200))
@settings(max_examples=60, deadline=None)
def test_frames_come_out_whole_and_in_order(steps: list[int | None]) -> None:
    """Sizes to write; None: read everything; negative: read at most so many bytes."""
    ring = TapRing(ROOM)
    waiting: list[bytes] = []
    dropped = 0
    for number, step in enumerate([*steps, None]):
        if step is not None and step > 0:
            frame = (number.to_bytes(4, "big") * (step // 4 + 1))[:step]
            used = sum(len(one) + 4 for one in waiting)
            if ring.put(frame):
                waiting.append(frame)
            else:
                # Only for want of room: the frame, and as much as it may leave out at the end.
                assert used + 2 * (step + 4) > ROOM - 70_008
                dropped += 1
            continue
        while True:
            data, count = ring.take(BATCH if step is None else -step)
            found = frames(data)
            assert len(found) == count
            assert step is None or count <= 1 or len(data) <= -step
            assert waiting[:count] == found
            del waiting[:count]
            if step is not None or not ring.used_bytes:
                break
    assert not waiting
    assert ring.dropped == dropped


def test_a_full_ring_drops_and_counts() -> None:
    ring = TapRing(ROOM)
    taken = 0
    while ring.put(bytes(1000)):
        taken += 1
    assert taken == ROOM // 1004
    assert not ring.put(bytes(1000))
    assert ring.dropped == 2
    assert sum(ring.take(BATCH)[1] for _ in range(4)) == taken


def test_another_process_goes_on_where_one_has_died() -> None:
    ring = TapRing(ROOM)

    def write(text: bytes) -> object:
        ring.put(text)
        os.kill(os.getpid(), 9)
        return None

    for text in (b"first", b"second"):
        os.waitpid(in_child(lambda text=text: write(text)), 0)  # type: ignore[misc]
    assert frames(ring.take(BATCH)[0]) == [b"first", b"second"]


def test_it_says_whether_anybody_reads() -> None:
    ring = TapRing(ROOM)
    assert not ring.wanted
    ring.wanted = True
    assert ring.wanted


@pytest.mark.parametrize("size", [0, 1000, ROOM - 1, ROOM // 2, 3 * ROOM])
def test_its_room_is_a_power_of_two(size: int) -> None:
    with pytest.raises(ValueError, match="a power of two"):
        TapRing(size)
