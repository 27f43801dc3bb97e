"""Control frames, also those that no reader should send."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.plugins.dnstap.framestream import (
    ACCEPT,
    CONTENT_TYPE,
    FINISH,
    MAX_CONTROL_BYTES,
    READY,
    FrameStreamError,
    control,
    parse_control,
    read_control,
)

# As libfstrm writes it.
READY_BYTES = bytes.fromhex("00000000 00000022 00000004 00000001 00000016") + b"protobuf:dnstap.Dnstap"


def read(data: bytes) -> tuple[int, list[bytes]]:
    """The control frame at the beginning of a stream that ends behind these bytes."""

    async def reading() -> tuple[int, list[bytes]]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await read_control(reader)

    return asyncio.run(reading())


def test_they_are_as_libfstrm_writes_them() -> None:
    assert control(READY, CONTENT_TYPE) == READY_BYTES
    assert read(READY_BYTES) == (READY, [CONTENT_TYPE])
    assert read(control(FINISH)) == (FINISH, [])
    assert read(control(ACCEPT, b"other", CONTENT_TYPE)) == (ACCEPT, [b"other", CONTENT_TYPE])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\0\5hello\0\0\0", "a control frame of"),
        (b"\0\0\0\0\xff\xff\xff\xff", "a control frame of"),
        (b"\0\0\0\0" + (MAX_CONTROL_BYTES + 1).to_bytes(4, "big"), "a control frame of"),
        (b"\0\0\0\0\0\0\0\2ab", "4 bytes or more"),
        (b"\0\0\0\0\0\0\0\x08\0\0\0\2\0\0\0\1", "inside a field"),
        (b"\0\0\0\0\0\0\0\x0c\0\0\0\2\0\0\0\1\0\0\0\1", "inside a field"),
    ],
)
def test_what_is_none_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(FrameStreamError, match=message):
        read(data)


def test_a_stream_that_ends_in_one_is_an_end() -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        read(READY_BYTES[:-1])


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        kind, types = parse_control(data)
    except FrameStreamError:
        return
    assert 0 <= kind < 1 << 32
    assert sum(map(len, types)) <= len(data)
