"""Questions in numbers: many that wait for one reply, as many as the table holds, and no descriptor or ID left."""

from __future__ import annotations

import contextlib
import os
import resource
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from tests.plugins.forward.engine.bursts import BATCH, Unread, send_batch
from tests.plugins.forward.engine.support import (
    HOT,
    Asked,
    Client,
    Forwarder,
    Upstream,
    drain,
    echo,
    forward,
    question,
    silent,
)
from tests.support import wait_until

pytestmark = [pytest.mark.alone, pytest.mark.native]

SERVFAIL, REFUSED = dns.rcode.SERVFAIL, dns.rcode.REFUSED
CROWD = 20_000
# What the hot thread answers by itself: NOTIMP to an opcode that nobody serves.
STATUS = b"\xff\xff\x10\0" + question(0)[4:]


def crowd(up: Upstream, forwarder: Forwarder, number: int, count: int = CROWD) -> tuple[Client, Asked]:
    """Many queries that wait for the same question, and that question, as it was asked."""
    client = forwarder.client()
    joined = forwarder.count("joined")
    wire = question(number)
    for first in range(0, count, BATCH):
        send_batch(client.sock, [i.to_bytes(2, "big") + wire[2:] for i in range(first, min(first + BATCH, count))])
        # The listener's buffer does not hold all of them.
        wait_until(lambda first=first: forwarder.count("joined") - joined >= first)
    wait_until(lambda: forwarder.count("joined") - joined == count - 1)
    return client, up.next()


def test_a_reply_that_many_wait_for_does_not_keep_others_waiting() -> None:
    """A flood of one name that is slow to come: names of the cluster would wait for all of its replies."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0), room=8192) as forwarder:
        place = CROWD
        for number in range(10):
            client, asked = crowd(up, forwarder, number)
            up.say(asked, echo(asked))
            replies = [client.receive_wire()]
            client.send(STATUS)
            replies += [client.receive_wire() for _ in range(CROWD)]
            place = next(i for i, reply in enumerate(replies) if reply[:2] == b"\xff\xff")
            assert {reply[3] & 0xF for reply in replies[:place] + replies[place + 1 :]} == {0}
            assert len({reply[:2] for reply in replies}) == CROWD + 1
            if place < CROWD // 2:
                # Where this thread had no CPU meanwhile it has asked too late, and tries again.
                break
        assert place < CROWD // 2
        forwarder.settles()


def test_an_end_gives_a_reply_to_all_who_wait_for_it() -> None:
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0), room=8192) as forwarder:
        client, asked = crowd(up, forwarder, 0)
        up.say(asked, echo(asked))
        first = client.receive_wire()
        forwarder.stop()
        assert {first[3] & 0xF, *drain(client, CROWD - 1)} == {0}


def test_an_end_gives_an_error_to_all_who_wait_for_one_reply() -> None:
    """Its patience is over before the question's time is, but where this machine has no CPU for a second."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0)) as forwarder:
        client, _ = crowd(up, forwarder, 0, 1000)
        forwarder.stop()
        assert drain(client, 1000) == [SERVFAIL] * 1000


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """This process can open nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(path.name) for path in Path("/proc/self/fd").iterdir()), hard)
    )
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


def test_no_descriptor_is_left() -> None:
    """SERVFAIL for as long as no socket is open; with one, everything goes through that."""
    with Upstream() as up, Forwarder(forward(up.to)) as forwarder:
        client = forwarder.client()
        with no_descriptors():
            client.send(question(0))
            assert drain(client, 1) == [SERVFAIL]
            assert forwarder.errors() == ["write udp {}: send failed"]
        client.send(question(1))
        assert drain(client, 1) == [0]
        with no_descriptors():
            for number in range(50):
                client.send(question(number))
            assert drain(client, 50) == [0] * 50
        assert len({asked.peer for asked in up.questions}) == 1


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def send_all(forwarder: Forwarder, first: int, count: int) -> Client:
    """Ask count different questions as fast as they are taken. Returns who gets the answers."""
    client = forwarder.client()
    before = forwarder.count("queries") - first
    for at in range(first, first + count, BATCH):
        send_batch(client.sock, [question(number) for number in range(at, min(at + BATCH, first + count))])
        while forwarder.count("queries") - before < at - 2048:
            os.sched_yield()
    wait_until(lambda: forwarder.count("queries") - before == first + count)
    return client


def seem_slow(upstream: Unread, forwarder: Forwarder) -> None:
    """Let the forwarder measure half a second, so that it does not send all again within less."""
    client = forwarder.client()
    for number in range(3):
        client.send(question(number))
        wait_until(lambda: forwarder.out == 1)
        begun = time.monotonic()
        wait_until(lambda begun=begun: time.monotonic() - begun > 0.35)
        with upstream.answering():
            forwarder.settles()


# A question ends after 5 s, whatever else there is.
QUESTION_S = 5.0
IN_TIME_S = 4.0


@pytest.mark.unsanitized("sends 100,000 questions before the first of them ends")
def test_a_hundred_thousand_in_flight() -> None:
    """Each gets a reply; memory grows by what the table takes, and not again the second time."""
    count = 100_000
    upstream = Unread()
    with Forwarder(forward(upstream.to, max_fails=0, read_timeout="5s"), room=131_072) as forwarder:
        seem_slow(upstream, forwarder)
        begun = rss_bytes()
        grown = []
        for turn in range(2):
            begun_at = time.monotonic()
            client = send_all(forwarder, turn * count, count)
            if time.monotonic() - begun_at > IN_TIME_S:
                pytest.skip("this machine cannot ask 100,000 questions in 4 s")
            assert forwarder.out == count
            grown.append(rss_bytes() - begun)
            # Others are still served at once: the table is not slow for being full.
            full_at = time.monotonic()
            client.send(b"\0\1\1\0\0\1\0\0\0\0\0\0\0\0\1\0\xfe")
            assert drain(client, 1) == [REFUSED]
            assert time.monotonic() - full_at < 0.5
            with upstream.answering():
                forwarder.settles()
            if time.monotonic() - begun_at > QUESTION_S:
                pytest.skip("this machine cannot ask and answer 100,000 questions in 5 s")
            replies = 0
            with contextlib.suppress(TimeoutError):
                while replies < count:
                    client.receive_wire(0.5)
                    replies += 1
            assert replies > count * 0.99, "buffers may be small here"
        # Two blocks of 256 bytes and 450 of the table itself for each question.
        assert grown[0] < count * 1100 + (16 << 20)
        assert grown[1] < grown[0] + (8 << 20)
        assert forwarder.count("parked") == 2 * count + 3
        assert forwarder.failed() == {"no_zone": 2}


def test_joining_costs_the_same_however_many_wait() -> None:
    """The 25,000th client of one question must not be dearer than the 2,000th: no walk over all who wait."""
    upstream = Unread()
    with Forwarder(forward(upstream.to, max_fails=0, read_timeout="5s"), room=16_384) as forwarder:
        seem_slow(upstream, forwarder)
        clock = time.pthread_getcpuclockid(forwarder.threads[HOT].ident)
        client = forwarder.client()
        tail = question(0)[2:]
        spent = []
        begun_at = time.monotonic()
        for turn in range(13):
            before, begun = forwarder.count("queries"), time.clock_gettime(clock)
            for at in range(0, 2000, BATCH):
                send_batch(client.sock, [struct.pack(">H", turn * 2000 + at + i) + tail for i in range(BATCH)])
                while forwarder.count("queries") - before < at:
                    os.sched_yield()
            wait_until(lambda before=before: forwarder.count("queries") - before == 2000)
            spent.append(time.clock_gettime(clock) - begun)
            if time.monotonic() - begun_at > IN_TIME_S:
                break
        if len(spent) < 8:
            pytest.skip("this machine cannot ask 16,000 times in 4 s")
        assert forwarder.out == 1
        assert forwarder.count("shed") == 0
        # Where each walks over the others, 4 to 14 times as much.
        assert sum(spent[-3:]) < 3 * sum(spent[1:4])
        with upstream.answering():
            forwarder.settles()


def test_ids_run_out_on_no_socket() -> None:
    """One socket is left, and more questions than there are IDs: the rest gets SERVFAIL, nothing stands still."""
    upstream = Unread()
    with Forwarder(forward(upstream.to, max_fails=0, read_timeout="5s"), room=131_072) as forwarder:
        asking = forwarder.client()
        asking.send(question(0))
        wait_until(lambda: forwarder.out == 1)
        with no_descriptors():
            begun_at = time.monotonic()
            for at in range(1, 70_001, BATCH):
                send_batch(asking.sock, [question(number) for number in range(at, at + BATCH)])
                while forwarder.count("queries") < at - 2048:
                    os.sched_yield()
            wait_until(lambda: forwarder.count("queries") > 70_000)
            if time.monotonic() - begun_at > IN_TIME_S:
                pytest.skip("this machine cannot ask 70,000 questions in 4 s")
        assert 60_000 < forwarder.out < 65_537
        assert "write udp {}: send failed" in forwarder.errors()
        with upstream.answering():
            forwarder.settles()
