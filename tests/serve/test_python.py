"""The service of steps in Python, without an event loop: the test says what coroutines would."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import pytest

from fastdns.metrics._stats import Stats, layout
from fastdns.plugins.whoami._step import WhoamiStep
from fastdns.serve._values import BlockValue
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from fastdns.serve.python._service import (
    ANSWERED,
    FAILED,
    LATE,
    PASSED,
    SILENT,
    TOO_MANY_TASKS,
    UNFIT,
    PythonService,
)  # fmt: skip
from fastdns.serve.python._step import COUNTERS, RESULT_NAMES, SHED_NAMES, HandOver
from fastdns.transports._slow import PARKED, SlowPath
from tests.serve._choosing import FactValue

if TYPE_CHECKING:
    from fastdns.serve.python._service import Taken

pytestmark = pytest.mark.native

NAME = "www.example.org."
CLIENT = b"\xc0\0\2\1"
FIRST = 3


@dataclass
class Timed:
    timeout_s: float = 5.0
    cacheable: bool = False


class Thread:
    """One serving thread with a chain of steps in Python, and whoami behind them."""

    def __init__(self, *steps: Timed, room: int = 100, values: Sequence[BlockValue] = ()) -> None:
        self.stats = Stats(1)
        hand_overs = [
            HandOver(step, f"step{number}", FIRST, values) for number, step in enumerate(steps or [Timed()])
        ]
        for number, step in enumerate(hand_overs):
            step.number = number
        table = ServerTable([(".", 0, 0)], [[*hand_overs, WhoamiStep()]])
        self.service = PythonService(self.stats, 0, room, [table])
        self.path = SlowPath([Worker(table, None, 0, self.stats, 0)], [self.service])
        self.replies: list[dns.message.Message | None] = []

    def send(
        self, name: str = NAME, client: bytes = CLIENT, kind: str = "TXT", *, tcp: bool = False, pad: int = 0
    ) -> object:
        query = dns.message.make_query(name, kind, use_edns=0, payload=4096, pad=pad)
        reply = self.path.serve(0, query.to_wire(), client, 5353, self.deliver, transport=int(tcp))
        if reply is not PARKED:
            assert reply is None or isinstance(reply, bytes)
            self.deliver(reply)
        return reply

    def deliver(self, reply: bytes | None) -> None:
        self.replies.append(None if reply is None else dns.message.from_wire(reply))

    def take(self, most: int = 1000) -> list[Taken]:
        self.path.flush()
        return self.service.take_requests(most)

    def give(self, taken: Taken, result: int, message: bytes | None = None) -> None:
        assert self.service.give(taken[0], result, message)
        self.service.wake()
        self.path.process()

    def counted(self) -> dict[str, int]:
        at, _ = layout()["plugins"]
        values = (self.stats.zone_values([0], 0) or [])[at + FIRST : at + FIRST + len(COUNTERS)]
        names = [*RESULT_NAMES, *(f"shed_{name}" for name in SHED_NAMES)]
        return {name: value for name, value in zip(names, values, strict=False) if value}

    def failed(self) -> dict[str, int]:
        return {reason: count for (reason, _), count in self.stats.failed(0).items()}

    def pass_time_until(self, what: Callable[[], object]) -> None:
        ends = time.monotonic() + 10
        while not what():
            assert time.monotonic() < ends
            self.path.tick()
            time.sleep(0.001)


def text_reply(taken: Taken, text: str = "hello") -> bytes:
    query = dns.message.from_wire(taken[2])
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", f'"{text}"'))
    return reply.to_wire()


def test_what_a_coroutine_is_told() -> None:
    thread = Thread(Timed(3.0))
    assert thread.send(tcp=True) is PARKED
    (taken,) = thread.take()
    _, step, message, client, port, stream, listener, entry, depth, name_end, opt_at, opt_len, _, left_s, *_ = taken
    query = dns.message.from_wire(message)
    assert (str(query.question[0].name), step, listener, depth) == (NAME, 0, 0, 0)
    assert (client, port, stream) == (CLIENT, 5353, True)
    assert name_end == 12 + len(NAME) + 1
    assert message[opt_at : opt_at + 3] == b"\0\0\x29" and opt_at + opt_len == len(message)
    assert 2.5 < left_s <= 3.0
    assert query.payload == 1232, "what the server tells upstreams, whatever the client says"
    assert entry[1] == 0


def test_the_values_of_plugins_go_along() -> None:
    facts = [BlockValue(FactValue(text), ["."]) for text in (b"one", b"", b"x" * 1024, b"\xff")]
    thread = Thread(values=facts)
    assert thread.send() is PARKED
    (taken,) = thread.take()
    assert taken[14] == ("one", "", "x" * 1024, "\udcff")
    assert dns.message.from_wire(taken[2]).question[0].name.to_text() == NAME
    with pytest.raises(ValueError, match="at most 16"):
        HandOver(Timed(), "step", FIRST, facts * 5)


def test_the_address_that_was_asked_goes_along() -> None:
    """What the coroutine asks of the server is chosen for by it."""
    thread = Thread()
    query = dns.message.make_query(NAME, "TXT").to_wire()
    assert thread.path.serve(0, query, CLIENT, 5353, thread.deliver, local=b"\x7f\0\0\2") is PARKED
    (taken,) = thread.take()
    assert taken[12] == b"\x7f\0\0\2"


@pytest.mark.parametrize("tcp", [False, True])
def test_an_answer(tcp: bool) -> None:
    thread = Thread()
    thread.send("WWW.example.org.", tcp=tcp)
    (taken,) = thread.take()
    thread.give(taken, ANSWERED, text_reply(taken))
    (reply,) = thread.replies
    assert reply is not None and str(reply.answer[0]) == 'WWW.example.org. 60 IN TXT "hello"'
    assert reply.flags & dns.flags.AA and thread.service.outstanding == 0 and thread.path.waits == 0
    assert thread.counted() == {"answer": 1} and not thread.failed()


def test_the_next_plugin_answers() -> None:
    thread = Thread()
    thread.send()
    thread.give(thread.take()[0], PASSED)
    (reply,) = thread.replies
    assert reply is not None and reply.rcode() == dns.rcode.NOERROR and len(reply.additional) == 2
    assert thread.counted() == {"next": 1}


def test_silence() -> None:
    thread = Thread()
    thread.send()
    thread.give(thread.take()[0], SILENT)
    assert thread.replies == [None]
    assert thread.counted() == {"silence": 1} and thread.failed() == {"plugin": 1}


@pytest.mark.parametrize(
    ("result", "reason", "counted"),
    [
        (FAILED, "panic", "exception"),
        (UNFIT, "step_reply", "bad_reply"),
        (LATE, "step_timeout", "timeout"),
        (TOO_MANY_TASKS, "in_flight", "shed_tasks"),
    ],
)
def test_a_failure(result: int, reason: str, counted: str) -> None:
    thread = Thread()
    thread.send()
    thread.give(thread.take()[0], result)
    (reply,) = thread.replies
    assert reply is not None and reply.rcode() == dns.rcode.SERVFAIL
    assert thread.counted() == {counted: 1} and thread.failed() == {reason: 1}
    assert thread.stats.thread(0)["panics"] == (reason == "panic")


def test_two_steps_in_turn() -> None:
    """The query is served again from its bytes: each step is asked once, and counts once."""
    thread = Thread(Timed(), Timed())
    thread.send()
    (first,) = thread.take()
    thread.give(first, PASSED)
    (second,) = thread.take()
    assert (first[1], second[1]) == (0, 1)
    thread.give(second, PASSED)
    (reply,) = thread.replies
    assert reply is not None and len(reply.additional) == 2
    # Both steps count in the same row here.
    assert thread.counted() == {"next": 2} and not thread.take()


def test_notify_is_for_plugins_behind_it() -> None:
    thread = Thread()
    query = dns.message.make_query(NAME, "SOA")
    query.set_opcode(dns.opcode.NOTIFY)
    assert isinstance(thread.path.serve(0, query.to_wire(), CLIENT, 5353, thread.deliver), bytes)


# ------------------------------------------------------------------------------------------------------- time


def test_no_answer_in_time() -> None:
    thread = Thread(Timed(0.05))
    begun = time.monotonic()
    thread.send()
    thread.pass_time_until(lambda: thread.replies)
    assert time.monotonic() - begun >= 0.05
    (reply,) = thread.replies
    assert reply is not None and reply.rcode() == dns.rcode.SERVFAIL
    assert thread.counted() == {"timeout": 1} and thread.failed() == {"step_timeout": 1}
    assert thread.service.outstanding == 0


def test_what_is_said_too_late_changes_nothing() -> None:
    """Also where the place has another query by now."""
    thread = Thread(Timed(0.05))
    thread.send()
    (late,) = thread.take()
    thread.pass_time_until(lambda: thread.replies)
    thread.give(late, ANSWERED, text_reply(late, "late"))
    assert len(thread.replies) == 1
    thread.send()
    (other,) = thread.take()
    assert other[0] & 0xFFFFFFFF == late[0] & 0xFFFFFFFF, "the same place"
    thread.give(late, ANSWERED, text_reply(late, "late"))
    assert len(thread.replies) == 1
    thread.give(other, ANSWERED, text_reply(other, "in time"))
    assert thread.replies[1] is not None and "in time" in str(thread.replies[1])
    assert thread.counted() == {"timeout": 1, "answer": 1}


def test_a_step_that_may_take_longer_than_the_wheel_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = Thread(Timed(60))
    thread.send()
    (taken,) = thread.take()
    assert 59 < taken[13] <= 60
    thread.path.tick()
    assert thread.service.outstanding == 1
    thread.give(taken, PASSED)
    assert len(thread.replies) == 1


@pytest.mark.parametrize("timeout_s", [0, -1, 3601])
def test_a_timeout_out_of_range(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="timeout_s must be over 0 and at most 3600"):
        HandOver(Timed(timeout_s), "step")


def test_everybody_is_answered_at_the_end() -> None:
    thread = Thread()
    for _ in range(3):
        thread.send()
    taken = thread.take()
    thread.path.give_up()
    assert [reply and reply.rcode() for reply in thread.replies] == [dns.rcode.SERVFAIL] * 3
    thread.send()
    assert len(thread.replies) == 4, "nobody waits any more"
    thread.give(taken[0], ANSWERED, text_reply(taken[0]))
    assert len(thread.replies) == 4
    assert thread.counted() == {"drained": 4}


# ----------------------------------------------------------------------------------------------------- bounds


def clients(count: int) -> list[bytes]:
    return [bytes((192, 0, number >> 8, number & 255)) for number in range(count)]


def test_places_are_bounded() -> None:
    thread = Thread(room=64)
    # No client holds much.
    for client in clients(100):
        thread.send(client=client)
    assert thread.service.outstanding == 64 and len(thread.replies) == 36
    assert {reply and reply.rcode() for reply in thread.replies} == {dns.rcode.SERVFAIL}
    assert thread.counted() == {"shed_places": 36} and thread.failed() == {"in_flight": 36}
    for taken in thread.take():
        thread.give(taken, PASSED)
    assert thread.service.outstanding == 0 and len(thread.replies) == 100
    thread.send()
    assert thread.service.outstanding == 1


def test_one_client_leaves_room_for_others() -> None:
    thread = Thread(room=900)
    for _ in range(1000):
        thread.send()
    taken = thread.service.outstanding
    assert 750 <= taken <= 802, "a client has at most 8 times what is free"
    assert thread.counted() == {"shed_client_share": 1000 - taken}
    assert thread.failed() == {"client_share": 1000 - taken}
    for client in clients(50):
        thread.send(client=client)
    assert thread.service.outstanding == taken + 50
    # What it has got back it may use again.
    for one in thread.take():
        thread.give(one, PASSED)
    thread.send()
    assert thread.service.outstanding == 1


def test_the_ring_is_bounded() -> None:
    """Nobody takes requests: the ring is full long before the places are."""
    thread = Thread(room=10000)
    many = clients(3000)
    for client in many:
        thread.send(client=client, pad=468)
    counted = thread.counted()
    assert set(counted) == {"shed_ring"} and thread.failed() == {"in_flight": counted["shed_ring"]}
    assert 300 < thread.service.outstanding < 600
    assert len(thread.take(10)) == 10
    thread.send(client=many[0])
    assert thread.counted() == counted, "there is room again"
    assert len(thread.take(10000)) == thread.service.outstanding - 10


def test_memory_is_bounded_by_bytes() -> None:
    """Queries of nearly 4 KiB take a block of 4 KiB each: a place stands for 1 KiB."""
    thread = Thread(room=1000)
    for client in clients(1000):
        thread.send(client=client, pad=3000)
        thread.take()
    assert 400 < thread.service.outstanding < 600
    # A client that shares its counters with another one is turned away when little is left.
    counted = thread.counted()
    assert sum(counted.values()) == 1000 - thread.service.outstanding
    assert counted["shed_places"] > 400 and counted.keys() <= {"shed_places", "shed_client_share"}


def test_the_ring_back_is_bounded() -> None:
    thread = Thread()
    for client in clients(5):
        thread.send(client=client, tcp=True)
    requests = thread.take()
    large = dns.message.from_wire(requests[0][2])
    reply = dns.message.make_response(large)
    for number in range(240):
        reply.answer.append(dns.rrset.from_text(NAME, 60, "IN", "TXT", f'"{number:03}{"x" * 240}"'))
    wire = reply.to_wire(max_size=65535)
    given = [thread.service.give(taken[0], ANSWERED, wire) for taken in requests]
    assert given == [True, True, True, True, False] or given == [True, True, True, False, False]
    thread.service.wake()
    thread.path.process()
    assert len(thread.replies) == given.count(True)
    for taken, was_given in zip(requests, given, strict=True):
        assert was_given or thread.service.give(taken[0], ANSWERED, wire)
    thread.service.wake()
    thread.path.process()
    assert [reply and len(reply.answer[0]) for reply in thread.replies] == [240] * 5


def test_a_query_that_is_too_long() -> None:
    thread = Thread()
    thread.send(pad=4040)
    (reply,) = thread.replies
    assert reply is not None and reply.rcode() == dns.rcode.SERVFAIL and thread.failed() == {"too_long": 1}


def test_many_replies_are_taken_in_turns() -> None:
    """Between them the thread's sockets have their turn."""
    thread = Thread(room=1000)
    for client in clients(600):
        thread.send(client=client)
    for taken in thread.take():
        assert thread.service.give(taken[0], PASSED)
    thread.service.wake()
    seen = []
    while len(thread.replies) < 600:
        thread.path.process()
        seen.append(len(thread.replies))
    assert seen == [256, 512, 600]


def test_many_end_at_one_time() -> None:
    thread = Thread(Timed(0.02), room=1000)
    for client in clients(600):
        thread.send(client=client)
    time.sleep(0.05)
    thread.path.tick()
    assert len(thread.replies) == 256
    thread.pass_time_until(lambda: len(thread.replies) == 600)
    assert thread.counted() == {"timeout": 600}


@pytest.mark.parametrize("room", [0, (1 << 20) + 1])
def test_a_room_out_of_range(room: int) -> None:
    with pytest.raises(ValueError, match="1 to 1048576 places expected"):
        PythonService(Stats(1), 0, room)


# ---------------------------------------------------------------------------------------- replies that are none


def other_name(wire: bytes) -> bytes:
    return wire.replace(b"\3www", b"\3wwx", 1)


def other_type(wire: bytes) -> bytes:
    at = 12 + len(NAME) + 1
    return wire[:at] + b"\0\1" + wire[at + 2 :]


@pytest.mark.parametrize(
    "spoil",
    [
        other_name,
        other_type,
        lambda wire: wire[:2] + b"\0" + wire[3:],  # a query
        lambda wire: wire[:2] + b"\xa0" + wire[3:],  # another opcode
        lambda wire: wire[:11],
        lambda wire: wire[:20],
        lambda wire: wire[:-1],
        lambda wire: b"",
        lambda wire: b"\0" * 512,
        lambda wire: wire[:4] + b"\0\2" + wire[6:],
        lambda wire: wire[:6] + b"\xff\xff" + wire[8:],
    ],
)
def test_bytes_that_are_no_reply(spoil: Callable[[bytes], bytes]) -> None:
    thread = Thread()
    thread.send()
    (taken,) = thread.take()
    thread.give(taken, ANSWERED, spoil(text_reply(taken)))
    (reply,) = thread.replies
    assert reply is not None and reply.rcode() == dns.rcode.SERVFAIL and not reply.answer
    assert thread.counted() == {"bad_reply": 1} and thread.failed() == {"step_reply": 1}


def test_replies_with_bytes_changed_at_random() -> None:
    """Each query gets one reply to its question. What records say within their lengths is the step's own."""
    chance = random.Random(14)
    thread = Thread(room=10)
    for _ in range(3000):
        replies: list[bytes | None] = []
        query = dns.message.make_query(NAME, "TXT", use_edns=0)
        assert thread.path.serve(0, query.to_wire(), CLIENT, 5353, replies.append) is PARKED
        (taken,) = thread.take()
        wire = bytearray(text_reply(taken))
        for _ in range(chance.randrange(1, 6)):
            wire[chance.randrange(len(wire))] = chance.randrange(256)
        thread.give(taken, ANSWERED, bytes(wire[: chance.choice((None, chance.randrange(len(wire))))]))
        (reply,) = replies
        assert reply is not None and query.is_response(dns.message.from_wire(reply, question_only=True))
    assert thread.service.outstanding == 0


@pytest.mark.parametrize(
    ("result", "message"), [(11, None), (PASSED, b"x"), (ANSWERED, None), (ANSWERED, b"x" * 65536)]
)
def test_a_result_that_is_none(result: int, message: bytes | None) -> None:
    thread = Thread()
    thread.send()
    (taken,) = thread.take()
    with pytest.raises(ValueError):
        thread.service.give(taken[0], result, message)


# ------------------------------------------------------------------------------------- what steps ask themselves


def test_the_steps_behind_one() -> None:
    """It is no client's query, begins behind the step, and the reply over UDP is whole."""
    thread = Thread()
    thread.send()
    (taken,) = thread.take()
    before = thread.stats.thread(0)["queries"]
    reply = thread.path.ask(0, taken[2], CLIENT, 5353, thread.deliver, transport=0, depth=1, entry=taken[7])
    assert isinstance(reply, bytes) and len(dns.message.from_wire(reply).additional) == 2
    assert not thread.take(), "the step itself is not asked"
    assert thread.stats.thread(0)["queries"] == before


def test_the_whole_server() -> None:
    thread = Thread()
    thread.send()
    (taken,) = thread.take()
    inner: list[bytes | None] = []
    message = dns.message.make_query("other.example.org.", "TXT").to_wire()
    assert thread.path.ask(0, message, CLIENT, 5353, inner.append, transport=0, depth=1) is PARKED
    (asked,) = thread.take()
    assert (asked[1], asked[8], asked[7][1]) == (0, 1, 0)
    thread.give(asked, ANSWERED, text_reply(asked, "x" * 250))
    assert not thread.replies and inner[0] is not None
    assert "other.example.org." in str(dns.message.from_wire(inner[0]))
    # The client's own query is asked nothing more of.
    thread.give(taken, SILENT)
    assert thread.replies == [None]


def test_a_failure_inside_is_no_client_s() -> None:
    thread = Thread()
    thread.send()
    thread.take()
    inner: list[bytes | None] = []
    message = dns.message.make_query("other.example.org.", "TXT").to_wire()
    thread.path.ask(0, message, CLIENT, 5353, inner.append, transport=0, depth=1)
    (asked,) = thread.take()
    thread.give(asked, FAILED)
    assert inner[0] is not None and dns.message.from_wire(inner[0]).rcode() == dns.rcode.SERVFAIL
    assert thread.counted() == {"exception": 1} and not thread.failed()


def test_a_client_s_query_after_one_inside() -> None:
    """The worker is the same: nothing of the entry is left."""
    thread = Thread()
    thread.send()
    (taken,) = thread.take()
    thread.path.ask(0, taken[2], CLIENT, 5353, thread.deliver, transport=0, depth=1, entry=taken[7])
    thread.give(taken, PASSED)
    thread.send()
    assert len(thread.take()) == 1
    with pytest.raises(ValueError, match="depth"):
        thread.path.ask(0, taken[2], CLIENT, 5353, thread.deliver, transport=0, depth=0)
