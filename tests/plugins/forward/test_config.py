"""Every option of forward: what it becomes, and what it refuses, with the place of the mistake."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fastdns.errors import CorefileError
from fastdns.plugins.forward.config import Address, HealthCheck, HostName, NameserverFile, TlsFiles
from tests.plugins.forward.support import config_of, stanza_of


@dataclass(frozen=True)
class Case:
    """Directives, by ``;`` instead of newlines, and the fields they set."""

    text: str
    fields: dict[str, Any]
    why: str


def option(text: str, fields: dict[str, Any], why: str) -> Case:
    return Case(f"forward . 127.0.0.1 {{;{text};}}", fields, why)


def to(text: str, *parsed: Any, why: str) -> Case:
    return Case(f"forward . {text}", {"to": parsed}, why)


CASES = [
    Case(
        "forward . 127.0.0.1",
        {
            "from_zone": ".", "to": (Address("dns", "127.0.0.1", 53),), "exceptions": (), "force_tcp": False,
            "prefer_udp": False, "expire_s": 10.0, "max_age_s": 0.0, "max_idle_conns": 0, "read_timeout_s": 2.0,
            "max_fails": 2, "max_connect_attempts": None, "doh_method": "POST", "tls": TlsFiles(),
            "tls_servername": None, "policy": None, "health_check": HealthCheck(0.5, True, "."),
            "max_concurrent": 0, "next_rcodes": (), "next_on_nodata": False,
            "failfast_all_unhealthy_upstreams": False, "failover_rcodes": (), "source_address": None,
            "resolvers": (), "randomize_case": False, "file": "Corefile", "line": 2,
        },
        why="every default",
    ),
    Case("forward . 127.0.0.1 {;}", {"expire_s": 10.0}, why="an empty block"),
    # FROM
    Case("forward Example.ORG 127.0.0.1", {"from_zone": "example.org."}, why="FROM is a zone"),
    Case("forward dns://example.org:53 127.0.0.1", {"from_zone": "example.org."}, why="FROM with a port"),
    Case("forward 10.0.0.0/8 127.0.0.1", {"from_zone": "10.in-addr.arpa."}, why="FROM is a network"),
    Case("forward 10.9.3.0/18 127.0.0.1", {"from_zone": "0.9.10.in-addr.arpa."}, why="the first of its zones"),
    # TO
    to("192.0.2.1:5353", Address("dns", "192.0.2.1", 5353), why="address and port"),
    to("::1", Address("dns", "::1", 53), why="IPv6"),
    to("[::1]", Address("dns", "::1", 53), why="IPv6 in brackets"),
    to("[2003:0::1]:53", Address("dns", "2003::1", 53), why="IPv6 and port, in canonical form"),
    to("::ffff:192.0.2.1", Address("dns", "192.0.2.1", 53), why="IPv4 as IPv6"),
    to("dns://192.0.2.1", Address("dns", "192.0.2.1", 53), why="dns://"),
    to("fe80::1%eth0", Address("dns", "fe80::1%eth0", 53), why="a link-local address keeps its interface"),
    to("[fe80::1%eth0]:54", Address("dns", "fe80::1%eth0", 54), why="an interface and a port"),
    to("tls://fe80::1%lo", Address("tls", "fe80::1%lo", 853), why="over TLS, an interface of this host"),
    to("2001:db8::1%eth0", Address("dns", "2001:db8::1", 53), why="of a global address a zone says nothing"),
    to("[fd01::1%ens3]:153", Address("dns", "fd01::1", 153), why="a zone id in brackets goes"),
    to("tls://192.0.2.1", Address("tls", "192.0.2.1", 853), why="tls://"),
    to("tls://192.0.2.1%dns.example", Address("tls", "192.0.2.1", 853, "dns.example"), why="a server name"),
    to("tls://192.0.2.1%dns.example:854", Address("tls", "192.0.2.1", 854, "dns.example"), why="name and port"),
    to("tls://[::1%dns.example]:854", Address("tls", "::1", 854, "dns.example"), why="IPv6, name and port"),
    to("tls://fe80::1%example.com", Address("tls", "fe80::1", 853, "example.com"), why="IPv6 and name, no port"),
    to("tls://192.0.2.1%Dns.Example.", Address("tls", "192.0.2.1", 853, "dns.example"), why="one spelling of it"),
    to("https://192.0.2.1", Address("https", "192.0.2.1", 443), why="https://"),
    to("https://[::1%dns.example]:8443", Address("https", "::1", 8443, "dns.example"), why="https:// with a name"),
    to("dns.example", HostName("dns", "dns.example", 53), why="a host name"),
    to("dns.example:5353", HostName("dns", "dns.example", 5353), why="a host name and port"),
    to("a_b.ns.svc.cluster.local.", HostName("dns", "a_b.ns.svc.cluster.local", 53), why="a Service's name"),
    to("localhost", HostName("dns", "localhost", 53), why="one label"),
    to("tls://dns.example%other.example:8853", HostName("tls", "dns.example", 8853, "other.example"),
       why="a host name with a server name"),
    to("https://dns.example:8443", HostName("https", "dns.example", 8443), why="https:// and a host name"),
    to("/dev/null", NameserverFile("/dev/null"), why="a file need not be a regular one"),
    to("dns:///dev/null", NameserverFile("/dev/null"), why="a file with dns://"),
    to(" ".join(["127.0.0.1"] * 15), *[Address("dns", "127.0.0.1", 53)] * 15, why="as many as there may be"),
    # Options
    option("except Example.org 10.0.0.0/8;except b", {"exceptions": ("example.org.", "10.in-addr.arpa.", "b.")},
           why="exceptions add up"),
    option("force_tcp;prefer_udp", {"force_tcp": True, "prefer_udp": True}, why="transport, force_tcp beats"),
    option("expire 1m", {"expire_s": 60.0}, why="expire"),
    option("expire 0", {"expire_s": 0.0}, why="no reuse"),
    option("max_age 30s", {"max_age_s": 30.0}, why="max_age"),
    option("max_age 10s", {"max_age_s": 10.0}, why="max_age equals expire"),
    option("max_age 0s", {"max_age_s": 0.0}, why="no max_age"),
    option("max_idle_conns 10", {"max_idle_conns": 10}, why="max_idle_conns"),
    option("read_timeout 500ms", {"read_timeout_s": 0.5}, why="read_timeout"),
    option("max_fails 0", {"max_fails": 0}, why="never down"),
    option("max_fails 4294967295", {"max_fails": 2**32 - 1}, why="most fails"),
    option("max_connect_attempts 5", {"max_connect_attempts": 5}, why="attempts"),
    option("max_connect_attempts 0", {"max_connect_attempts": 0}, why="attempts without limit"),
    option("doh_method GET", {"doh_method": "GET"}, why="GET"),
    option("tls", {"tls": TlsFiles()}, why="tls with the system's authorities"),
    option("tls ca", {"tls": TlsFiles(ca="ca")}, why="tls with an authority"),
    option("tls crt key", {"tls": TlsFiles("crt", "key")}, why="tls with a certificate"),
    option("tls crt key /ca", {"tls": TlsFiles("crt", "key", "/ca")}, why="tls with both"),
    option("tls ca;tls", {"tls": TlsFiles()}, why="the last tls counts"),
    option("tls_servername Dns.Example.", {"tls_servername": "dns.example"}, why="tls_servername"),
    option("tls_servername 192.0.2.1", {"tls_servername": "192.0.2.1"}, why="tls_servername that is an address"),
    option("policy random", {"policy": "random"}, why="random"),
    option("policy round_robin", {"policy": "round_robin"}, why="round_robin"),
    option("policy sequential", {"policy": "sequential"}, why="sequential"),
    option("health_check 5s", {"health_check": HealthCheck(5.0)}, why="health_check"),
    option("health_check 5s no_rec", {"health_check": HealthCheck(5.0, False)}, why="without recursion"),
    option("health_check 1s domain Example.org no_rec", {"health_check": HealthCheck(1.0, False, "example.org.")},
           why="another domain"),
    option("health_check 1s domain .", {"health_check": HealthCheck(1.0, True, ".")}, why="the root"),
    option("max_concurrent 1000", {"max_concurrent": 1000}, why="max_concurrent"),
    option("next nxdomain SERVFAIL;next REFUSED", {"next_rcodes": (3, 2, 5)}, why="next adds up"),
    option("next NOERROR NOTIMPL BADVERS BADSIG", {"next_rcodes": (0, 4, 16, 16)}, why="codes by other names"),
    option("next_on_nodata", {"next_on_nodata": True}, why="next_on_nodata"),
    option("failfast_all_unhealthy_upstreams", {"failfast_all_unhealthy_upstreams": True}, why="failfast"),
    option("failover ServFail Refused", {"failover_rcodes": (2, 5)}, why="failover"),
    option("source_address 192.0.2.1", {"source_address": "192.0.2.1"}, why="source_address"),
    option("source_address 2001:0db8:85a3:0000:1319:8a2e:0370:7344",
           {"source_address": "2001:db8:85a3:0:1319:8a2e:370:7344"}, why="an IPv6 source_address"),
    option("source_address ::ffff:192.0.2.1", {"source_address": "192.0.2.1"}, why="an IPv4 one in disguise"),
    option("resolver 10.96.0.10 [::1]:5353 ::1", {"resolvers": (("10.96.0.10", 53), ("::1", 5353), ("::1", 53))},
           why="resolvers"),
    option("resolver ::1;resolver ::2", {"resolvers": (("::2", 53),)}, why="the last resolver line counts"),
    option("randomize_case", {"randomize_case": True}, why="0x20"),
]  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(case, id=case.why) for case in CASES])
def test_options(case: Case) -> None:
    stanza = stanza_of(case.text)
    assert {name: getattr(stanza, name) for name in case.fields} == case.fields
    with pytest.raises((AttributeError, TypeError)):
        stanza.expire_s = 1.0  # type: ignore[misc]


@dataclass(frozen=True)
class Bad:
    """line: counted from 2, where the first directive stands."""

    text: str
    message: str
    why: str
    line: int = 2


def bad_option(text: str, message: str, why: str, line: int = 3) -> Bad:
    return Bad(f"forward . 127.0.0.1 {{;{text};}}", message, why, line)


BAD = [
    Bad("forward", "a zone, and at least one upstream", why="nothing"),
    Bad("forward .", "a zone, and at least one upstream", why="no upstream"),
    Bad("forward . {;max_fails 1;}", "a zone, and at least one upstream", why="options, but no upstream"),
    Bad("forward a..b 127.0.0.1", "not a valid domain name", why="a bad zone"),
    Bad(f"forward {'x' * 64} 127.0.0.1", "not a valid domain name", why="a long label"),
    Bad("forward . " + " ".join(["127.0.0.1"] * 16), "at most 15 upstreams may be named, got 16", why="too many"),
    Bad("forward . /no/such/file", "no such file: '/no/such/file'", why="a file that is not there"),
    Bad("forward . /etc/resolv.conf:53", "no such file", why="a file and a port"),
    Bad("forward . /etc", "'/etc' is a directory", why="a directory"),
    Bad("forward . tls:///dev/null", "over dns:// only", why="a file over TLS"),
    Bad("forward . https://1.1.1.1/", "has no path", why="a path"),
    Bad("forward . https://1.1.1.1/dns-query", "which is always /dns-query", why="the usual path"),
    Bad("forward . grpc://127.0.0.1", "'grpc' is no transport to an upstream", why="gRPC"),
    Bad("forward . unix:///run/dns.sock", "'unix' is no transport", why="a socket of UNIX"),
    Bad("forward . http://127.0.0.1", "dns, tls, https, https3, quic are", why="an unknown transport"),
    Bad("forward . 8.8.8", "neither an IP address, nor a file that exists, nor a host name", why="half an address"),
    Bad("forward . 256.0.0.1", "neither an IP address", why="an octet too large"),
    Bad("forward . 8.8.8.8,", "neither an IP address", why="a comma"),
    Bad("forward . a..b", "neither an IP address", why="an empty label"),
    Bad("forward . 127.0.0.1:0", "from 1 to 65535, got 0", why="port 0"),
    Bad("forward . 127.0.0.1:65536", "got 65536", why="a port too large"),
    Bad("forward . 127.0.0.1:", "the port of '127.0.0.1:'", why="an empty port"),
    Bad("forward . 127.0.0.1:domain", "got 'domain'", why="a port by name"),
    Bad("forward . tls://::1%dns.example:853", "is no address", why="IPv6 with a port needs brackets"),
    Bad("forward . [::1", "is no address", why="half a bracket"),
    Bad("forward . [dns.example]:53", "is no address", why="a host name in brackets"),
    Bad("forward . tls://192.0.2.1%", "is no address", why="an empty server name"),
    Bad("forward . tls://192.0.2.1%a..b", "'a..b' is no server name", why="a bad server name"),
    Bad("forward . tls://", "is no address", why="only a transport"),
    Bad("forward . 127.0.0.1;forward . 127.0.0.1:x", "got 'x'", line=3, why="in a second one"),
    Bad("forward . tls://192.0.2.1%a.example {;tls_servername b.example;}", "cannot both be set", line=4,
        why="two server names"),
    Bad("forward . https://192.0.2.1%a.example {;tls_servername b.example;}", "cannot both be set", line=4,
        why="two server names over HTTPS"),
    bad_option("blaatl", "unknown option 'blaatl'", why="an unknown option"),
    bad_option("max_fail 1", "did you mean 'max_fails'?", why="a misspelt option"),
    bad_option("except", "at least one argument", why="no exceptions"),
    bad_option("except a..b", "not a valid domain name", why="a bad exception"),
    bad_option("force_tcp yes", "no argument", why="force_tcp with a value"),
    bad_option("prefer_udp yes", "no argument", why="prefer_udp with a value"),
    bad_option("expire", "one argument", why="no expire"),
    bad_option("expire -1s", "expire must be at least 0s", why="negative expire"),
    bad_option("expire 10", "no duration", why="expire without a unit"),
    bad_option("max_age", "one argument", why="no max_age"),
    bad_option("max_age -1s", "max_age must be at least 0s", why="negative max_age"),
    bad_option("expire 30s;max_age 10s", "max_age must be at least expire, got 10s and 30s", line=5,
               why="max_age below expire"),
    bad_option("max_idle_conns many", "whole number", why="max_idle_conns is no number"),
    bad_option("max_idle_conns -1", "at least 0, got -1", why="negative max_idle_conns"),
    bad_option("read_timeout", "one argument", why="no read_timeout"),
    bad_option("read_timeout 0s", "read_timeout must be positive, got 0s", why="read_timeout 0"),
    bad_option("read_timeout -1s", "at least 0s", why="negative read_timeout"),
    bad_option("max_fails", "one argument", why="no max_fails"),
    bad_option("max_fails 1 2", "one argument", why="two max_fails"),
    bad_option("max_fails -1", "got -1", why="negative max_fails"),
    bad_option("max_fails 4294967296", "got 4294967296", why="max_fails too large"),
    bad_option("max_connect_attempts many", "whole number", why="max_connect_attempts is no number"),
    bad_option("max_connect_attempts -4", "got -4", why="negative max_connect_attempts"),
    bad_option("doh_method PUT", "none of POST, GET", why="another method"),
    bad_option("doh_method get", "none of POST, GET", why="a method in lower case"),
    bad_option("tls a b c d", "certificate, key and CA", why="four files"),
    bad_option("tls_servername", "one argument", why="no server name"),
    bad_option("tls_servername a..b", "no server name", why="a bad tls_servername"),
    bad_option("policy random2", "none of random, round_robin, sequential", why="an unknown policy"),
    bad_option("health_check", "a duration", why="an empty health_check"),
    bad_option("health_check no_rec", "no duration", why="health_check without an interval"),
    bad_option("health_check -1s", "at least 0s", why="a negative interval"),
    bad_option("health_check 1s rec", "unknown option 'rec'", why="an unknown option of health_check"),
    bad_option("health_check 1s domain", "a domain name", why="domain without a name"),
    bad_option("health_check 1s domain a..b", "not a valid domain name", why="a bad domain"),
    bad_option("max_concurrent many", "whole number", why="max_concurrent is no number"),
    bad_option("max_concurrent -4", "got -4", why="negative max_concurrent"),
    bad_option("next", "at least one argument", why="next without a code"),
    bad_option("next NXDOMAIN INVALID", "'INVALID' is no response code", why="next with an unknown code"),
    bad_option("next_on_nodata yes", "no argument", why="next_on_nodata with a value"),
    bad_option("failfast_all_unhealthy_upstreams false", "no argument", why="failfast with a value"),
    bad_option("failover", "at least one argument", why="failover without a code"),
    bad_option("failover NOERROR", "NOERROR is none", why="failover after success"),
    bad_option("failover 2", "'2' is no response code", why="a code by number"),
    bad_option("source_address", "one argument", why="no source_address"),
    bad_option("source_address not-an-ip", "must be an IP address", why="a bad source_address"),
    bad_option("source_address 192.0.2.1:53", "must be an IP address", why="source_address with a port"),
    bad_option("resolver", "at least one argument", why="no resolver"),
    bad_option("resolver dns.example.com", "resolver must be an IP address", why="a resolver by name"),
    bad_option("resolver 10.0.0.1:0", "from 1 to 65535", why="a resolver's bad port"),
    bad_option("resolver 192.0.2.1%eth0", "resolver must be an IP address", why="a resolver with a zone id"),
    bad_option("randomize_case yes", "no argument", why="randomize_case with a value"),
]  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(case, id=case.why) for case in BAD])
def test_mistakes(case: Bad) -> None:
    with pytest.raises(CorefileError) as caught:
        config_of(case.text)
    assert case.message in caught.value.message
    assert str(caught.value).startswith(f"plugin/forward: Corefile:{case.line} - Error during parsing: ")


# Several


def test_directives_keep_their_order_and_options() -> None:
    config, warnings = config_of("forward a 192.0.2.1 {;next NXDOMAIN;};forward b 192.0.2.2;forward . 192.0.2.3")
    assert [(one.from_zone, one.next_rcodes, one.line) for one in config.stanzas] == [
        ("a.", (3,), 2),
        ("b.", (), 5),
        (".", (), 6),
    ]
    assert not warnings


def test_equal_directives_are_equal_wherever_they_stand() -> None:
    first, second = config_of("forward . 192.0.2.1;forward . 192.0.2.1")[0].stanzas
    assert first == second


# Files


def test_a_file_without_a_slash_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    (tmp_path / "192.0.2.1").write_text("")
    monkeypatch.chdir(tmp_path)
    assert stanza_of("forward . resolv.conf").to == (NameserverFile("resolv.conf"),)
    assert stanza_of("forward . 192.0.2.1").to == (Address("dns", "192.0.2.1", 53),)
    assert stanza_of("forward . dns.example").to == (HostName("dns", "dns.example", 53),)


def test_files_of_tls_are_relative_to_the_root() -> None:
    assert stanza_of("forward . tls://192.0.2.1 {;tls a /b c;}", root="/r").tls == TlsFiles("/r/a", "/b", "/r/c")


# What other plugins and numbers decide


@pytest.mark.parametrize(
    ("text", "loadbalance", "policy"),
    [
        ("forward . 127.0.0.1", False, "random"),
        ("forward . 127.0.0.1", True, "round_robin"),
        ("forward . 127.0.0.1 {;policy sequential;}", True, "sequential"),
        ("forward . 127.0.0.1 {;policy random;}", True, "random"),
    ],
)
def test_policy_in_a_block_with_loadbalance(text: str, loadbalance: bool, policy: str) -> None:
    assert stanza_of(text).effective_policy(take_turns=loadbalance) == policy


def test_attempts() -> None:
    assert stanza_of("forward . 127.0.0.1").attempts(3) == 6
    assert stanza_of("forward . 127.0.0.1 {;max_connect_attempts 5;}").attempts(3) == 5
    assert stanza_of("forward . 127.0.0.1 {;max_connect_attempts 0;}").attempts(3) == 0


# Warnings


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("forward 10.9.3.0/18 127.0.0.1",
         "10.9.3.0/18 is 64 zones, of which only 0.9.10.in-addr.arpa. is forwarded"),
        ("forward . 2001:db8::1%eth0", "the zone id 'eth0' of '2001:db8::1%eth0' is not used"),
        ("forward . fe80::1", "fe80::1 cannot be reached without its interface, as in fe80::1%eth0"),
        ("forward . 127.0.0.1 {;tls ca;}", "tls has no effect: no upstream here needs it"),
        ("forward . 127.0.0.1 {;tls_servername a;}", "tls_servername has no effect: no upstream here needs it"),
        ("forward . tls://127.0.0.1 {;doh_method GET;}", "doh_method has no effect: no upstream here needs it"),
        ("forward . 127.0.0.1 {;resolver 127.0.0.1;}", "resolver has no effect: no upstream here needs it"),
        ("forward . ::1 {;source_address 127.0.0.1;}", "::1 cannot be reached from 127.0.0.1"),
        ("forward . 127.0.0.1 {;next NXDOMAIN;}", "next and next_on_nodata do nothing here: no forward follows"),
        ("forward . 127.0.0.1 {;next_on_nodata;}", "next and next_on_nodata do nothing here: no forward follows"),
    ],
)  # fmt: skip
def test_warnings(text: str, warning: str) -> None:
    assert config_of(text)[1] == [f"plugin/forward: Corefile:2 - {warning}"]


@pytest.mark.parametrize(
    "text",
    [
        "forward . 127.0.0.1",
        "forward . tls://127.0.0.1 {;tls ca;tls_servername a;}",
        "forward . https://127.0.0.1 {;doh_method GET;tls_servername a;}",
        "forward . dns.example {;resolver 127.0.0.1;source_address 127.0.0.1;}",
    ],
)
def test_no_warnings(text: str) -> None:
    assert config_of(text)[1] == []
