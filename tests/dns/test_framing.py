"""The framing of messages on a stream."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.dns.framing import MAX_MESSAGE_BYTES, count_messages, framed, messages


@given(st.lists(st.binary(max_size=300), max_size=8), st.binary(max_size=300))
def test_whole_messages_and_where_they_end(sent: list[bytes], last: bytes) -> None:
    """Behind the whole messages stands one without its last byte."""
    stream = bytearray(b"".join(map(framed, sent)) + framed(last)[:-1])
    found = list(messages(stream))
    assert [message for message, _ in found] == sent
    ends = [end for _, end in found]
    assert ends == [sum(len(one) + 2 for one in sent[: n + 1]) for n in range(len(sent))]
    assert count_messages(stream) == len(sent)


@pytest.mark.parametrize("size", [0, 1, MAX_MESSAGE_BYTES])
def test_every_length_of_a_message(size: int) -> None:
    wire = framed(b"m" * size)
    assert wire == size.to_bytes(2, "big") + b"m" * size
    assert list(messages(bytearray(wire))) == [(b"m" * size, size + 2)]


def test_a_message_that_no_length_can_say() -> None:
    with pytest.raises(struct.error):
        framed(bytes(MAX_MESSAGE_BYTES + 1))
