"""Who gets the room that a table of questions has: no client, and no zone, keeps it from all others."""

from __future__ import annotations

import itertools

import dns.rcode
import pytest

from tests.plugins.forward.engine.support import (
    Client,
    Forwarder,
    Upstream,
    a,
    echo,
    forward,
    good,
    question,
    response,
    silent,
)
from tests.support import wait_until

pytestmark = pytest.mark.native

SERVFAIL = dns.rcode.SERVFAIL
ROOM = 64
# Of so many places one client takes what leaves an eighth of it free.
ONE_CLIENT = 57
NUMBERS = itertools.count()


def named(zone: bytes, number: int) -> bytes:
    """A question for a name of its own in a zone of one label."""
    wire = question(number)
    return wire.replace(b"\7example\0", bytes((len(zone),)) + zone + b"\0")


def ask(forwarder: Forwarder, client: Client, count: int, zone: bytes = b"example") -> int:
    """Ask so many different questions. Returns how many of them wait for their upstream; the others are refused."""
    waited, failed = forwarder.count("parked"), sum(forwarder.failed().values())
    for _ in range(count):
        client.send(named(zone, next(NUMBERS)))
    wait_until(lambda: forwarder.count("parked") - waited + sum(forwarder.failed().values()) - failed == count)
    return forwarder.count("parked") - waited


def answer_all(up: Upstream, forwarder: Forwarder) -> None:
    """Answer everything that is in flight, however often it is asked."""
    up.script = echo
    for asked in list(up.asked):
        up.say(asked, echo(asked))
    forwarder.settles()
    up.script = silent
    up.asked.clear()


def test_one_client_has_nearly_all_and_others_find_room() -> None:
    """Twice: what was held is given back."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0, read_timeout="5s"), room=ROOM) as forwarder:
        for turn in (0, 1):
            flooding, other = forwarder.client(), forwarder.client("127.0.0.2")
            assert ask(forwarder, flooding, 200) == ONE_CLIENT
            assert ask(forwarder, other, 3) == 3
            # It does not take what is left, either.
            assert ask(forwarder, flooding, 50) == 0
            assert ask(forwarder, other, 4) == 4
            assert forwarder.out == ROOM
            assert forwarder.failed() == {"client_share": (turn + 1) * (250 - ONE_CLIENT)}
            answer_all(up, forwarder)
            rcodes = [flooding.receive_wire()[3] & 0xF for _ in range(250)]
            assert rcodes.count(SERVFAIL) == 250 - ONE_CLIENT
            assert [other.receive_wire()[3] & 0xF for _ in range(7)] == [0] * 7


def test_many_flooding_clients_leave_room_too() -> None:
    room = 1024
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0, read_timeout="5s"), room=room) as forwarder:
        flooding = [forwarder.client(f"127.0.1.{number}") for number in range(1, 21)]
        total = 0
        for _ in range(8):
            total += sum(ask(forwarder, client, 10) for client in flooding)
        # So many times as much as is free has each of them.
        assert room - 10 < total < room
        assert forwarder.out == total
        assert ask(forwarder, forwarder.client("127.0.0.2"), 1) == 1
        answer_all(up, forwarder)


def test_a_flood_of_one_question_leaves_memory_to_others() -> None:
    """It takes no places, but each that waits for the answer takes memory."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0, read_timeout="5s"), room=ROOM) as forwarder:
        flooding = forwarder.client()
        for at in range(0, 8000, 500):
            for _ in range(500):
                flooding.send(question(1))
            wait_until(lambda at=at: forwarder.count("queries") == at + 500)
        assert forwarder.out == 1
        assert forwarder.failed()["client_share"] > 3000
        assert ask(forwarder, forwarder.client("127.0.0.2"), 20) == 20
        answer_all(up, forwarder)


def test_a_zone_whose_upstreams_are_dead_leaves_room_to_others() -> None:
    """Whoever asks: each client only a little."""
    with Upstream(silent) as dead, Upstream(silent) as well:
        stanzas = (
            forward(dead.to, zone="dead.", max_fails=0, read_timeout="5s"),
            forward(well.to, max_fails=0, read_timeout="5s"),
        )
        with Forwarder("\n".join(stanzas), room=ROOM) as forwarder:
            clients = [forwarder.client(f"127.0.1.{number}") for number in range(1, 41)]
            waiting = sum(ask(forwarder, client, 3, b"dead") for client in clients)
            assert waiting <= ROOM * 7 // 8
            assert ask(forwarder, clients[0], 2) == 2
            assert forwarder.failed().keys() <= {"in_flight", "client_share"}
            well.script = good
            for one in list(well.asked):
                well.say(one, a(response(one.message)))
            answer_all(dead, forwarder)


def test_max_concurrent_is_shared() -> None:
    """The bound of a stanza is one that clients share, too: CoreDNS's own example has it at 1000."""
    options = {"max_fails": 0, "read_timeout": "5s", "max_concurrent": 60}
    with Upstream(silent) as up, Forwarder(forward(up.to, **options), room=1024) as forwarder:
        flooding = forwarder.client()
        assert 50 <= ask(forwarder, flooding, 100) < 58
        assert forwarder.failed().keys() == {"client_share"}
        assert ask(forwarder, forwarder.client("127.0.0.2"), 2) == 2
        answer_all(up, forwarder)


@pytest.mark.parametrize("room", [1, 2, 8])
def test_a_small_table_is_not_kept_free_for_nobody(room: int) -> None:
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0, read_timeout="5s"), room=room) as forwarder:
        assert ask(forwarder, forwarder.client(), 20) == room
        assert forwarder.failed() == {"in_flight": 20 - room}
        answer_all(up, forwarder)
