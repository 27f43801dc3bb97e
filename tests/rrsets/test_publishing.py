"""Zones that are published in slices: bounded slices, other changes between them, and what was begun is undone."""

from __future__ import annotations

import asyncio
import struct
import threading

import pytest

from fastdns.memory._store import Store, Writer
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.rrsets.publishing import publish
from tests.rrsets.oracle import TXT, A, Content, absolute, wire
from tests.rrsets.test_zones import SOURCE, ZONE, assert_equal, many

pytestmark = pytest.mark.native

OTHER = absolute("other.test.")


def drafted(content: Content, zone: bytes = ZONE) -> Draft:
    draft = Draft(zone)
    for labels, sets in content.items():
        for rrtype, (ttl_s, rrs) in sets.items():
            for rdata in rrs:
                draft.add(wire(labels) + zone, rrtype, ttl_s, rdata)
    return draft


def row(owner: bytes, rrtype: int, ttl_s: int, rdata: bytes) -> bytes:
    return struct.pack("=BHIH", len(owner), rrtype, ttl_s, len(rdata)) + owner + rdata


# Rows


def test_rows_are_added_as_one_by_one() -> None:
    content = many(300, 1)
    rows = b"".join(
        row(wire(labels) + ZONE, rrtype, ttl_s, rdata)
        for labels, sets in content.items()
        for rrtype, (ttl_s, rrs) in sets.items()
        for rdata in rrs
    )
    draft = Draft(ZONE)
    # A thread adds them and puts them in order.
    kept: list[int] = []
    thread = threading.Thread(target=lambda: (kept.append(draft.add_rows(rows)), draft.prepare()))
    thread.start()
    thread.join()
    assert kept == [300]
    store = Store(4 << 20)
    ZoneWriter(Writer(store), SOURCE).replace(draft)
    assert_equal(store, content)


def test_rows_that_cannot_be_kept_are_counted() -> None:
    draft = Draft(ZONE)
    rows = [
        row(ZONE, A, 1, b"\1\2\3\4"), row(OTHER, A, 1, b"\1\2\3\4"), row(ZONE, A, 1, b"\1"), row(b"", A, 1, b""),
        row(b"\5ab", A, 1, b"\1\2\3\4"), row(ZONE, TXT, 1, bytes(65_535)),
    ]  # fmt: skip
    assert draft.add_rows(b"".join(rows)) == 1 and draft.add_rows(b"") == 0
    assert draft.left_out == {
        "it is not in the zone": 2, "its rdata has not the form of its type": 1, "its owner is no domain name": 1,
        "its rdata is too long": 1,
    }  # fmt: skip


@pytest.mark.parametrize("size", [1, 8, 9, 12, 30])
def test_a_row_that_is_cut_off_is_an_error(size: int) -> None:
    whole = row(b"\1a" + ZONE, A, 1, b"\1\2\3\4")
    draft = Draft(ZONE)
    with pytest.raises(ValueError, match="cut off"):
        draft.add_rows(whole + whole[: min(size, len(whole) - 1)])
    assert len(draft) == 1


# A task


def test_a_task_publishes_while_the_loop_goes_on() -> None:
    store = Store(16 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    content = many(3000, 1)

    async def body() -> int:
        return await publish(writer, drafted(content))

    assert asyncio.run(body()) == 3000
    assert_equal(store, content, asked=[(b"no",)])
