"""rewrite with what is below it: forward, the cache, aliases that have to be resolved."""

from __future__ import annotations

import time
from collections.abc import Mapping

import dns.edns
import dns.message
import pytest

from fastdns.plugins.cache._step import CacheStep
from fastdns.plugins.cache.shared import new_cache
from tests.plugins.cache.support import block_of
from tests.plugins.forward.engine.support import Asked, Forwarder, Upstream, a, response
from tests.plugins.rewrite.steps import step_of
from tests.plugins.rewrite.support import Table
from tests.serve._service import WAITS, PlayedService, Wait
from tests.serve.support import parse, query, reply_to, shown, trial, wire
from tests.support import wait_until

pytestmark = pytest.mark.native

LOCAL, SUBNET = 0xFFEE, 8


def options_of(message: dns.message.Message) -> dict[int, bytes]:
    return {int(option.otype): option.to_wire() or b"" for option in message.options}


def with_options(name: str, options: Mapping[int, bytes]) -> dns.message.Message:
    message = dns.message.make_query(name, "A")
    message.use_edns(0, options=[dns.edns.GenericOption(code, data) for code, data in options.items()])
    return message


# ------------------------------------------------------------------------------------------------ aliases


def test_an_alias_is_asked_for_once_the_reply_is_there() -> None:
    service = PlayedService("played")
    server = trial(step_of("rewrite cname suffix .cdn. .other."), Wait("played"), services=(service,))
    assert server.ask(query("www.test.")) is WAITS
    reply = reply_to(server.asked(service)[0], "www.test. 60 CNAME a.cdn.", "a.cdn. 60 A 192.0.2.1")
    assert server.say(service, reply) is WAITS
    assert server.asked(service) == [(wire("a.other."), 1)]
    reply = parse(server.say(service, reply_to(server.asked(service)[0], "a.other. 60 A 192.0.2.2")))
    assert shown(reply) == ["an www.test. CNAME a.other.", "an a.other. A 192.0.2.2"]
    assert server.kept_bytes == 0


def test_an_alias_below_another_name_and_type_is_asked_for_by_that_type() -> None:
    service = PlayedService("played")
    rules = """rewrite continue type AAAA A
        rewrite continue name suffix .test .org answer auto
        rewrite cname a.cdn a.other"""
    server = trial(step_of(rules), Wait("played"), services=(service,))
    assert server.ask(query("www.test.", "AAAA")) is WAITS
    assert server.asked(service) == [(wire("www.org."), 1)]
    assert server.say(service, reply_to(server.asked(service)[0], "www.org. 60 CNAME a.cdn.")) is WAITS
    assert server.asked(service) == [(wire("a.other."), 1)]
    reply = parse(server.say(service, reply_to(server.asked(service)[0], "a.other. 60 A 192.0.2.2")))
    assert shown(reply) == ["an www.test. CNAME a.other.", "an a.other. A 192.0.2.2"]
    assert (str(reply.q.qname), reply.q.qtype) == ("www.test.", 28)


def test_an_alias_that_cannot_be_resolved_stays_without_addresses() -> None:
    service = PlayedService("played")
    server = trial(step_of("rewrite cname a.cdn a.other"), Wait("played"), services=(service,))
    assert server.ask(query("www.test.")) is WAITS
    cut = reply_to(server.asked(service)[0], "www.test. 60 CNAME a.cdn.", "a.cdn. 60 A 192.0.2.1")
    assert server.say(service, cut) is WAITS
    reply = parse(server.say(service, None))
    assert (reply.header.rcode, shown(reply)) == (0, ["an www.test. CNAME a.other."])


def test_aliases_that_lead_to_each_other_end() -> None:
    """CoreDNS asks for ever."""
    table = Table({(name, "A"): [f"{name} 60 IN CNAME {name}"] for name in ("a.test.", "b.test.")})
    rules = "rewrite continue cname a.test b.test\nrewrite cname b.test a.test"
    with Upstream(table) as up, Forwarder(f"{rules}\nforward . {up.to}") as forwarder:
        reply = forwarder.ask("a.test.")
        assert reply.rcode() in (0, 2)
        assert len(up.asked) < 20


# -------------------------------------------------------------------------------- options and the cache


def test_the_cache_keeps_replies_to_different_options_apart() -> None:
    rules = "rewrite edns0 local set 0xffee {client_ip}"
    with Upstream() as up, Forwarder(f"{rules}\ncache\nforward . {up.to}") as forwarder:
        first, second = forwarder.client("127.0.0.1"), forwarder.client("127.0.0.2")
        for _ in range(3):
            for client in (first, second):
                client.send(dns.message.make_query("www.test.", "A"))
                assert len(client.receive().answer) == 1
        assert [options_of(asked.message)[LOCAL] for asked in up.asked] == [b"\x7f\0\0\1", b"\x7f\0\0\2"]


def test_clients_of_one_subnet_share_what_the_cache_keeps() -> None:
    rules = "rewrite edns0 subnet set 24 56"
    with Upstream() as up, Forwarder(f"{rules}\ncache\nforward . {up.to}") as forwarder:
        for source in ("127.0.0.1", "127.0.0.2", "127.0.1.1"):
            client = forwarder.client(source)
            client.send(dns.message.make_query("www.test.", "A"))
            assert len(client.receive().answer) == 1
        assert [options_of(asked.message)[SUBNET] for asked in up.asked] == [
            b"\0\1\x18\0\x7f\0\0",
            b"\0\1\x18\0\x7f\0\1",
        ]


def test_equal_questions_with_different_options_are_two_for_the_upstream() -> None:
    """They are outstanding at the same time."""
    rules = "rewrite edns0 local set 0xffee {client_ip}"
    with Upstream(lambda asked: None) as up, Forwarder(f"{rules}\nforward . {up.to}") as forwarder:
        first, second = forwarder.client("127.0.0.1"), forwarder.client("127.0.0.2")
        for client in (first, second, first):
            client.send(dns.message.make_query("www.test.", "A"))
        one, two = up.next(), up.next()
        for asked in (one, two):
            data = options_of(asked.message)[LOCAL]
            up.say(asked, a(response(asked.message), ".".join(map(str, data))))
        assert first.receive().answer[0][0].to_text() == "127.0.0.1"
        assert second.receive().answer[0][0].to_text() == "127.0.0.2"


@pytest.mark.parametrize("stale", ["immediate", "verify 50ms"])
def test_a_refresh_has_the_options_of_its_entry(stale: str) -> None:
    """It goes on from the cache, below the rules: what they have set stands in the question."""
    cache = f"cache {{\nsuccess 100 3600 0\nserve_stale 1h {stale}\n}}"
    rules = "rewrite continue name suffix .test .org answer auto\nrewrite edns0 local set 0xffee abcd"

    def script(asked: Asked) -> dns.message.Message | None:
        if len(up.asked) == 1:
            return a(response(asked.message), "192.0.2.1", ttl_s=1)
        # For verify this is too late.
        time.sleep(0.2)
        return a(response(asked.message), "192.0.2.2")

    with Upstream(script) as up, Forwarder(f"{rules}\n{cache}\nforward . {up.to}") as forwarder:
        assert len(forwarder.ask("www.test.").answer) == 1
        time.sleep(1.1)
        reply = forwarder.ask("www.test.")
        assert [rrset.to_text() for rrset in reply.answer] == ["www.test. 0 IN A 192.0.2.1"]
        wait_until(lambda: len(up.asked) > 1)
        forwarder.settles()
        assert [options_of(asked.message) for asked in up.asked] == [{LOCAL: b"abcd"}] * len(up.asked)
        before = len(up.asked)
        reply = forwarder.ask("www.test.")
        assert [data.to_text() for data in reply.answer[0]] == ["192.0.2.2"], "it took the place of what was stale"
        assert len(up.asked) == before


def test_an_upstreams_subnet_is_not_shown_to_a_client_that_has_asked_with_another() -> None:
    def script(asked: Asked) -> dns.message.Message:
        message = a(response(asked.message))
        message.use_edns(0, options=[*asked.message.options, dns.edns.EDEOption(3)])
        return message

    rules = "rewrite edns0 subnet set 24 56"
    with Upstream(script) as up, Forwarder(f"{rules}\nforward . {up.to}") as forwarder:
        assert set(options_of(forwarder.exchange(with_options("www.test.", {})))) == {15}
        own = {SUBNET: b"\0\1\x18\0\x7f\0\0"}
        reply = forwarder.exchange(with_options("www.test.", own))
        assert set(options_of(reply)) == {SUBNET, 15}, "it is what the client has asked with"


def test_over_tcp_the_options_are_the_same() -> None:
    rules = "rewrite edns0 local set 0xffee {protocol}"
    table = Table({("www.test.", "A"): ["www.test. 60 IN A 192.0.2.1"]})
    with Upstream(table, tcp=table) as up, Forwarder(f"{rules}\nforward . {up.to}") as forwarder:
        assert len(forwarder.ask_over_tcp("www.test.").answer) == 1
        assert options_of(up.asked[-1].message) == {LOCAL: b"tcp"}


def test_an_option_that_has_no_room_is_left_out() -> None:
    """At most 512 bytes are sent: a name that does not print takes four for each of its own."""
    rules = "rewrite continue edns0 local set 1 x\nrewrite edns0 local set 0xffee {qname}"
    name = "\\000" * 63 + "." + "\\000" * 63 + "." + "test."
    with Upstream() as up, Forwarder(f"{rules}\nforward . {up.to}") as forwarder:
        forwarder.ask(name)
        assert set(options_of(up.asked[-1].message)) == {1}
        forwarder.ask("\\000" * 63 + ".test.")
        assert set(options_of(up.asked[-1].message)) == {1, LOCAL}


def test_many_options_of_a_client_cost_no_more_than_reading_them() -> None:
    codes = range(100, 16000)
    options = b"".join(code.to_bytes(2, "big") + b"\0\0" for code in codes)
    raw = (
        b"\0\7\1\0\0\1\0\0\0\0\0\1\3www\0\0\1\0\1\0\0\x29\4\xd0\0\0\0\0" + len(options).to_bytes(2, "big") + options
    )
    rules = "rewrite continue edns0 local set 0x64 abcd\nrewrite edns0 local unset 0x65"
    server = trial(
        step_of(rules), CacheStep(new_cache(block_of("cache").plugins["cache"]), block_of("cache").plugins["cache"])
    )
    began = time.monotonic()
    reply = server.ask(raw, tcp=True)
    assert isinstance(reply, bytes)
    # 64 KiB: were an option sought for each of them, it took seconds.
    assert time.monotonic() - began < 1
    assert options_of(dns.message.from_wire(reply)) == {100: b"abcd", 15: b"\0\0no_next_plugin"}
