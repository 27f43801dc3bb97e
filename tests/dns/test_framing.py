"""The framing of messages on a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.dns._framing import MAX_MESSAGE_BYTES, append_framed, count_messages, framed, message_at

pytestmark = pytest.mark.native


@given(st.lists(st.binary(max_size=300), max_size=8), st.binary(max_size=300))
def test_whole_messages_one_after_the_other(sent: list[bytes], last: bytes) -> None:
    """Behind the whole messages stands one without its last byte."""
    stream = bytearray()
    for message in sent:
        append_framed(stream, message)
    stream += framed(last)[:-1]
    at, found = 0, list[bytes]()
    while (message_found := message_at(stream, at)) is not None:
        found.append(message_found)
        at += 2 + len(message_found)
    assert found == sent
    assert count_messages(stream) == len(sent)


@pytest.mark.parametrize("size", [0, 1, 255, 256, MAX_MESSAGE_BYTES])
def test_every_length_of_a_message(size: int) -> None:
    wire = framed(b"m" * size)
    assert wire == size.to_bytes(2, "big") + b"m" * size
    assert message_at(bytearray(b"before" + wire + b"behind"), 6) == b"m" * size


def test_a_message_that_no_length_can_say() -> None:
    out = bytearray(b"before")
    for call in (framed, lambda message: append_framed(out, message)):
        with pytest.raises(ValueError, match="at most 65535 bytes expected, got 65536"):
            call(bytes(MAX_MESSAGE_BYTES + 1))
    assert out == b"before"


@pytest.mark.parametrize("at", [-1, 3, 1 << 40])
def test_a_place_outside(at: int) -> None:
    with pytest.raises(IndexError):
        message_at(bytearray(b"\0\0"), at)
    assert message_at(bytearray(b"\0\0"), 2) is None
