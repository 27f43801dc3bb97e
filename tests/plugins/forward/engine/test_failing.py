"""Upstreams that are silent, refuse, fail or are slow: the others answer, or the client gets SERVFAIL in time."""

from __future__ import annotations

import time
from contextlib import ExitStack

import dns.message
import dns.rcode
import pytest

from tests.plugins.forward.engine.support import (
    NAME,
    SLOW,
    Asked,
    Forwarder,
    Reply,
    Upstream,
    addresses,
    closed_port,
    forward,
    good,
    response,
    saying,
    silent,
    with_rcode,
)
from tests.support import wait_until

pytestmark = pytest.mark.native

SERVFAIL, NXDOMAIN, REFUSED, NOTIMP = dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN, dns.rcode.REFUSED, dns.rcode.NOTIMP


def took(forwarder: Forwarder, name: str = NAME, limit_s: float = 8.0) -> tuple[dns.message.Message, float]:
    """A reply, and the seconds that it took."""
    begun = time.monotonic()
    reply = forwarder.ask(name, limit_s=limit_s)
    return reply, time.monotonic() - begun


# ----------------------------------------------------------------------------------------------------- nobody else


def test_a_single_silent_upstream() -> None:
    """Asked at once and after read_timeout, SERVFAIL after twice that; the datagram is sent again meanwhile."""
    with Upstream(silent) as up, Forwarder(forward(up.to, read_timeout="500ms", max_fails=0)) as forwarder:
        reply, took_s = took(forwarder)
        assert reply.rcode() == SERVFAIL
        assert 1.0 <= took_s < 1.4
        assert forwarder.errors() == ["read udp {}: i/o timeout"]
        assert forwarder.of_upstream("timeouts") == 2
        # The same message under one ID for each attempt.
        ids = [asked.wire[:2] for asked in up.asked]
        assert len(ids) == 4
        assert len(set(ids)) == 2
        forwarder.settles()


def test_a_lost_datagram_is_sent_again() -> None:
    """The first one is lost; the second, of the same attempt, is answered before read_timeout."""
    dropped: list[Asked] = []

    def script(asked: Asked) -> Reply | None:
        if not dropped:
            dropped.append(asked)
            return None
        return good(asked)

    with Upstream(script) as up, Forwarder(forward(up.to)) as forwarder:
        reply, took_s = took(forwarder)
        assert addresses(reply) == ["192.0.2.1"]
        assert took_s < 1
        assert [asked.wire for asked in up.questions] == [dropped[0].wire] * 2
        assert up.questions[0].peer == up.questions[1].peer
        forwarder.settles()


def test_a_single_refusing_upstream() -> None:
    """Two attempts, each refused at once (ICMP): the client need not wait."""
    with closed_port() as nobody, Forwarder(forward(nobody)) as forwarder:
        reply, took_s = took(forwarder)
        assert reply.rcode() == SERVFAIL
        assert took_s < 0.5
        assert forwarder.errors() == ["read udp {}: connection refused"]
        assert forwarder.of_upstream("refused") >= 2


def test_questions_that_are_refused_together() -> None:
    """All that is out on a socket fails at once; none of it is taken for refused twice, or never ends."""
    with closed_port() as nobody, Forwarder(forward(nobody, max_connect_attempts=3)) as forwarder:
        client = forwarder.client()
        for number in range(500):
            client.send(dns.message.make_query(f"n{number}.example.", "A"))
        replies = [client.receive() for _ in range(500)]
        assert {reply.rcode() for reply in replies} == {SERVFAIL}
        assert len({reply.id for reply in replies}) > 490
        assert len({reply.question[0].name for reply in replies}) == 500


@pytest.mark.parametrize("code", [SERVFAIL, REFUSED, NXDOMAIN, NOTIMP], ids=dns.rcode.to_text)
def test_with_one_upstream_every_code_is_passed_through(code: int) -> None:
    with Upstream(with_rcode(code)) as up, Forwarder(forward(up.to, failover="SERVFAIL REFUSED")) as forwarder:
        assert forwarder.ask().rcode() == code
        assert len(up.asked) == 1
        assert forwarder.of_upstream("passed_over") == 0


# --------------------------------------------------------------------------------------------------- somebody else


def test_a_dead_upstream_is_passed_over_within_a_second() -> None:
    """Silence for longer than is usual starts an attempt at the other one; then the silent one comes last."""
    with (
        Upstream(silent) as dead,
        Upstream() as up,
        Forwarder(forward(dead.to, up.to, policy="sequential")) as forwarder,
    ):
        for number in range(6):
            reply, took_s = took(forwarder, f"n{number}.example.org.")
            assert addresses(reply) == ["192.0.2.1"]
            assert took_s < 1
        assert took_s < 0.1
        assert len(dead.questions) == 2
        assert len(up.questions) == 6
        assert [forwarder.of_upstream("silent", place) for place in (0, 1)] == [2, 0]


def test_a_refusing_upstream_is_passed_over_at_once() -> None:
    with (
        closed_port() as nobody,
        Upstream() as up,
        Forwarder(forward(nobody, up.to, policy="sequential")) as forwarder,
    ):
        for number in range(4):
            reply, took_s = took(forwarder, f"n{number}.example.org.")
            assert addresses(reply) == ["192.0.2.1"]
            assert took_s < 0.2
        assert forwarder.of_upstream("refused") >= 1


def test_both_are_dead() -> None:
    with (
        Upstream(silent) as one,
        Upstream(silent) as two,
        Forwarder(forward(one.to, two.to, read_timeout="300ms", max_fails=0)) as forwarder,
    ):
        reply, took_s = took(forwarder)
        assert reply.rcode() == SERVFAIL
        assert took_s < 1.5
        # Four attempts, twice the number of upstreams, and datagrams that were repeated.
        assert len({asked.wire[:2] for up in (one, two) for asked in up.asked}) == 4
        forwarder.settles()


def test_the_fifth_of_five_answers() -> None:
    """No more than four attempts are out at a time; who has not been asked comes before who has."""
    with ExitStack() as stack:
        dead = [stack.enter_context(Upstream(silent)) for _ in range(4)]
        up = stack.enter_context(Upstream())
        everybody = [*(one.to for one in dead), up.to]
        options = {"policy": "sequential", "read_timeout": "2s", "max_fails": 0}
        forwarder = stack.enter_context(Forwarder(forward(*everybody, **options)))
        reply, took_s = took(forwarder)
        assert addresses(reply) == ["192.0.2.1"]
        assert took_s < 2.5
        assert len(up.asked) == 1


def test_a_late_answer_of_the_first_is_taken() -> None:
    """The second has been asked meanwhile, and says nothing."""
    with (
        Upstream(silent) as slow,
        Upstream(silent) as other,
        Forwarder(forward(slow.to, other.to, policy="sequential")) as forwarder,
    ):
        client = forwarder.client()
        client.send(dns.message.make_query(NAME, "A"))
        asked = slow.next()
        other.next()
        slow.say(asked, good(asked))
        assert addresses(client.receive()) == ["192.0.2.1"]
        # The other's answer is nobody's by then.
        late = other.asked[0]
        other.say(late, saying("192.0.2.2")(late))
        wait_until(lambda: forwarder.count("mismatched") == 1)
        assert client.nothing_comes(0.05)
        forwarder.settles()


def test_a_slow_upstream_is_known_to_be_slow() -> None:
    """It needs 250 ms each time: silence for 250 ms is no reason to ask another then."""

    def slowly(asked: Asked) -> Reply:
        time.sleep(0.25)
        return good(asked)

    with (
        Upstream(slowly) as slow,
        Upstream(silent) as other,
        Forwarder(forward(slow.to, other.to, policy="sequential")) as forwarder,
    ):
        for number in range(5):
            assert addresses(forwarder.ask(f"n{number}.example.org.")) == ["192.0.2.1"]
        assert other.asked == []


def test_servfail_is_passed_over() -> None:
    with (
        Upstream(with_rcode(SERVFAIL)) as bad,
        Upstream() as up,
        Forwarder(forward(bad.to, up.to, policy="sequential")) as forwarder,
    ):
        for number in range(3):
            assert addresses(forwarder.ask(f"n{number}.example.org.")) == ["192.0.2.1"]
        assert len(bad.questions) == len(up.questions) == 3
        assert forwarder.of_upstream("passed_over") == 3
        assert bad.probes == [], "an upstream that answers is well"


def test_servfail_of_all_is_an_answer() -> None:
    """Each is asked once; what the last one says about it reaches the client."""
    with (
        Upstream(with_rcode(SERVFAIL)) as one,
        Upstream(with_rcode(SERVFAIL)) as two,
        Forwarder(forward(one.to, two.to)) as forwarder,
    ):
        reply, took_s = took(forwarder)
        assert reply.rcode() == SERVFAIL
        assert took_s < 0.5
        assert len(one.questions) == len(two.questions) == 1
        assert forwarder.errors() == []


def test_servfail_is_better_than_silence() -> None:
    with Upstream(with_rcode(SERVFAIL)) as bad, Upstream(silent) as dead:
        options = {"policy": "sequential", "read_timeout": "400ms"}
        with Forwarder(forward(bad.to, dead.to, **options)) as forwarder:
            reply, took_s = took(forwarder)
            assert reply.rcode() == SERVFAIL
            assert took_s < 1
            assert forwarder.errors() == [], "the code is an upstream's"


FAILOVER = [
    ("REFUSED", REFUSED, True, "a code that is listed"),
    ("REFUSED NOTIMP", NOTIMP, True, "each of several codes"),
    ("REFUSED", NXDOMAIN, False, "a code that is not listed is an answer"),
    ("NXDOMAIN", NXDOMAIN, True, "NXDOMAIN, if somebody wants it"),
    ("BADVERS", 16, True, "an extended code"),
]


@pytest.mark.parametrize(("codes", "code", "passed_over", "why"), FAILOVER, ids=lambda value: str(value))
def test_failover(codes: str, code: int, passed_over: bool, why: str) -> None:
    def script(asked: Asked) -> Reply:
        reply = response(asked.message)
        if code > 15:
            reply.use_edns(0)
        reply.set_rcode(code)
        return reply

    with (
        Upstream(script) as bad,
        Upstream() as up,
        Forwarder(forward(bad.to, up.to, policy="sequential", failover=codes)) as forwarder,
    ):
        reply = forwarder.ask(use_edns=0)
        assert reply.rcode() == (0 if passed_over else code)
        assert len(up.questions) == passed_over


def test_failover_asks_each_once_and_returns_the_last_reply() -> None:
    with ExitStack() as stack:
        ups = [stack.enter_context(Upstream(with_rcode(code))) for code in (REFUSED, NOTIMP, NXDOMAIN)]
        text = forward(*(up.to for up in ups), policy="sequential", failover="REFUSED NOTIMP NXDOMAIN")
        forwarder = stack.enter_context(Forwarder(text))
        assert forwarder.ask().rcode() == NXDOMAIN
        assert [len(up.asked) for up in ups] == [1, 1, 1]


ATTEMPTS = [
    (1, [1, 0, 0], "one"),
    (2, [1, 1, 0], "each at another upstream"),
    (3, [1, 1, 1], "all"),
    (5, [2, 2, 1], "and again from the first on"),
]


@pytest.mark.parametrize(("attempts", "asked", "why"), ATTEMPTS, ids=lambda value: str(value))
def test_max_connect_attempts(attempts: int, asked: list[int], why: str) -> None:
    """Only those count that have failed: here each does at once, as TCP is refused."""
    with ExitStack() as stack:
        nobody = [stack.enter_context(closed_port()) for _ in range(3)]
        text = forward(*nobody, policy="sequential", max_connect_attempts=attempts, max_fails=0)
        forwarder = stack.enter_context(Forwarder(text))
        assert forwarder.ask().rcode() == SERVFAIL
        assert [forwarder.of_upstream("refused", place) for place in range(3)] == asked


# -------------------------------------------------------------------------------------------------------- policies


def firsts(policy: str, count: int) -> list[str]:
    """Which of three upstreams has answered each of count questions."""
    with ExitStack() as stack:
        ups = [stack.enter_context(Upstream(saying(f"192.0.2.{number}"))) for number in (1, 2, 3)]
        text = forward(*(up.to for up in ups), **({"policy": policy} if policy else {}))
        if policy == "loadbalance":
            text = forward(*(up.to for up in ups)) + "\nloadbalance"
        forwarder = stack.enter_context(Forwarder(text))
        return [addresses(forwarder.ask(f"n{number}.example."))[0][-1] for number in range(count)]


def test_sequential() -> None:
    assert firsts("sequential", 6) == ["1"] * 6


@pytest.mark.parametrize("policy", ["round_robin", "loadbalance"])
def test_round_robin_takes_turns(policy: str) -> None:
    """The counter is raised before it is used, as CoreDNS does; a block with loadbalance takes turns, too."""
    assert firsts(policy, 9) == ["2", "3", "1"] * 3


@pytest.mark.parametrize("policy", ["random", ""])
def test_random(policy: str) -> None:
    """The default. Each of three is missing among 60 in 1 of 10^10 runs."""
    asked = firsts(policy, 60)
    assert set(asked) == {"1", "2", "3"}
    assert asked != sorted(asked)


# -------------------------------------------------------------------------------------------------- health probes


def test_probes_begin_with_an_error_and_end_with_an_answer() -> None:
    """NS of the root, with RD; any answer at all says that the upstream is well again."""
    well = False

    def script(asked: Asked) -> Reply | None:
        return response(asked.message, REFUSED) if well else None

    options = {"policy": "sequential", "health_check": "100ms"}
    with Upstream(script) as dead, Upstream() as up, Forwarder(forward(dead.to, up.to, **options)) as forwarder:
        assert addresses(forwarder.ask()) == ["192.0.2.1"]
        assert dead.probes == [], "one silence is none"
        assert addresses(forwarder.ask("b.example.org.")) == ["192.0.2.1"]
        wait_until(lambda: dead.probes)
        assert up.probes == []
        probe = dead.probes[0].message
        assert probe.to_wire()[2:] == dns.message.make_query(".", "NS").to_wire()[2:]
        wait_until(lambda: forwarder.of_upstream("failed_probes") == 1)
        well = True
        forwarder.settles()
        first, last = dead.probes[0], dead.probes[-1]
        # A second of patience, and the interval.
        assert 1.05 < last.at - first.at < 1.6
        # It is the first one again.
        assert forwarder.ask("c.example.org.").rcode() == REFUSED


def test_the_options_of_health_check() -> None:
    options = {"health_check": "100ms no_rec domain example.org", "read_timeout": "100ms"}
    with Upstream(silent) as dead, Forwarder(forward(dead.to, **options)) as forwarder:
        assert forwarder.ask().rcode() == SERVFAIL
        wait_until(lambda: dead.probes)
        query = dns.message.make_query("example.org.", "NS", flags=0)
        assert dead.probes[0].wire[2:] == query.to_wire()[2:]


def test_any_answer_to_a_probe_will_do() -> None:
    """Also one without the question: somebody is there."""
    answers = False

    def script(asked: Asked) -> Reply | None:
        return asked.wire[:2] + b"\x81\x85" + bytes(8) if answers else None

    with Upstream(script) as up, Forwarder(forward(up.to, read_timeout="50ms", health_check="10ms")) as forwarder:
        assert forwarder.ask().rcode() == SERVFAIL
        wait_until(lambda: up.probes)
        answers = True
        forwarder.settles()


# ---------------------------------------------------------------------------------------- what takes five seconds


def test_exchanges_end_and_silent_upstreams_are_tried_again() -> None:
    """Three things at a time, in zones of their own, as each of them takes so long.

    Without a bound on attempts an exchange ends after five seconds, however silent the upstream; and one that
    refuses is not asked as fast as it can do so. With max_fails 0 a silent upstream is neither probed nor
    forgotten: now and then a question tries it, and finds it well again.
    """
    well = False

    def script(asked: Asked) -> Reply | None:
        return saying("192.0.2.9")(asked) if well else None

    bounds = {"read_timeout": "3s", "max_connect_attempts": 0, "max_fails": 0}
    with Upstream(silent) as never, closed_port() as nobody, Upstream(script) as first, Upstream() as second:
        stanzas = (
            forward(never.to, zone="silent.", **bounds),
            forward(nobody, zone="refusing.", **bounds),
            forward(first.to, second.to, policy="sequential", max_fails=0),
        )
        with Forwarder("\n".join(stanzas)) as forwarder:
            client = forwarder.client()
            begun = time.monotonic()
            client.send(dns.message.make_query("www.silent.", "A"))
            for number in range(20):
                client.send(dns.message.make_query(f"n{number}.refusing.", "A"))
            for number in range(4):
                assert addresses(forwarder.ask(f"n{number}.example.")) == ["192.0.2.1"]
            well = True
            wait_until(lambda: time.monotonic() - begun > 1)
            assert 4 <= forwarder.of_upstream("refused", 1) <= 20 * 8 * (time.monotonic() - begun)
            ended = [(client.receive(), time.monotonic() - begun) for _ in range(21)]
            early = [(str(reply), at_s) for reply, at_s in ended if reply.rcode() != SERVFAIL or not 4.9 < at_s < 6]
            assert early == []
            seen: list[str] = []

            def asked_first() -> bool:
                seen.append(addresses(forwarder.ask(f"w{len(seen)}.example."))[0])
                return seen[-1] == "192.0.2.9"

            wait_until(asked_first, 3, "the first upstream is asked again")
            assert addresses(forwarder.ask("z.example.")) == ["192.0.2.9"]
            assert first.probes == []
            forwarder.settles()


def test_down_and_up_again() -> None:
    """Down after more than max_fails failed probes: not asked at all then; asked again after an answered one."""
    well = False

    def script(asked: Asked) -> Reply | None:
        return saying("192.0.2.9")(asked) if well else None

    options = {"policy": "sequential", "health_check": "10ms", "read_timeout": "100ms", "max_fails": 1}
    with Upstream(script) as first, Upstream() as up, Forwarder(forward(first.to, up.to, **options)) as forwarder:
        for number in range(2):
            assert addresses(forwarder.ask(f"n{number}.example.")) == ["192.0.2.1"]
        wait_until(lambda: forwarder.of_upstream("failed_probes") == 2)
        before = len(first.questions)
        for number in range(5):
            reply, took_s = took(forwarder, f"m{number}.example.")
            assert addresses(reply) == ["192.0.2.1"]
            assert took_s < 0.1
        assert len(first.questions) == before
        well = True
        forwarder.settles()
        assert addresses(forwarder.ask("x.example.")) == ["192.0.2.9"]
    assert "all_down" not in forwarder.counters()


def test_all_are_down() -> None:
    """One of them gets a chance for each question, and only one; with failfast none."""
    options = {"health_check": "10ms", "read_timeout": "100ms", "max_fails": 1}
    with ExitStack() as stack:
        nobody = [stack.enter_context(closed_port()) for _ in range(4)]
        stanzas = (
            forward(*nobody[:2], zone="chance.", **options),
            forward(*nobody[2:], zone="none.", failfast_all_unhealthy_upstreams="", **options),
        )
        forwarder = stack.enter_context(Forwarder("\n".join(stanzas)))
        for zone in ("chance.", "none."):
            assert forwarder.ask("a." + zone).rcode() == SERVFAIL
        wait_until(lambda: min(forwarder.of_upstream("failed_probes", place) for place in range(4)) >= 2, 5)
        forwarder.errors()
        for number, (zone, says) in enumerate(
            [("chance.", "read udp {}: connection refused"), ("none.", "no healthy proxies")], 1
        ):
            assert forwarder.ask("b." + zone).rcode() == SERVFAIL
            assert forwarder.count("all_down") == number
            assert forwarder.errors() == [says]


def test_the_slow_thread_asks_in_the_same_way() -> None:
    """Its own table: over TCP by default, as the client came, and to the other upstream where one refuses."""
    with (
        closed_port() as nobody,
        Upstream(tcp=good) as up,
        Forwarder(forward(nobody, up.to, policy="sequential")) as forwarder,
    ):
        assert addresses(forwarder.ask_over_tcp()) == ["192.0.2.1"]
        assert len(up.over(tcp=True)) == 1
        assert forwarder.counters(SLOW)["parked"] == 1
        assert forwarder.counters() == {}
