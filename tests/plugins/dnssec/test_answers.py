"""dnssec before a zone file: every RRset and every denial is validated, by dnspython and by delv."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from tests.plugins.beside import COREDNS, CoreDNS
from tests.plugins.dnssec.keyfiles import ED25519, KSK, P256, P384, RSASHA256, ZSK, KeyFiles, make_key
from tests.support import Server, free_port, wait_until

COREFILE = """\
example.org:DNS_PORT {
    prometheus 127.0.0.1:METRICS_PORT
    dnssec {
        key file ONE
    }
    file db.example.org
}
split.test:DNS_PORT {
    dnssec {
        key file KSK.key ZSK.private
        cache_capacity 100
    }
SPLIT_DATA
}
many.test:DNS_PORT {
    dnssec {
        key file RSA
        key file ED
        key file P384
    }
MANY_DATA
}
renewed.test:DNS_PORT {
    dnssec {
        key file RENEWED
    }
RENEWED_DATA
}
elsewhere.test:DNS_PORT {
    dnssec a.elsewhere.test {
        key file ELSE
    }
ELSEWHERE_DATA
}
"""
# An address, and denials.
DATA = """\
    template IN A {
        match ^a\\.ZONE\\.test\\.$
        answer "{{ .Name }} 60 IN A 192.0.2.1"
        authority "ZONE.test. 60 IN NS ns.ZONE.test."
        additional "ns.ZONE.test. 60 IN A 192.0.2.53"
        fallthrough
    }
    template IN ANY {
        rcode NXDOMAIN
        authority "ZONE.test. 300 IN SOA ns.ZONE.test. host.ZONE.test. 1 7200 1800 86400 60"
    }"""
ZONE = """\
$TTL 300
@ SOA ns host 1 7200 1800 86400 60
@ NS ns
@ NS ns.elsewhere.example.
@ MX 10 MAIL
ns A 192.0.2.53
mail A 192.0.2.25
mail AAAA 2001:db8::25
many A 192.0.2.3
many A 192.0.2.1
many A 192.0.2.2
txt TXT "one" "two"
srv SRV 1 2 53 NS
naptr NAPTR 1 2 "s" "SIP+D2U" "" SRV
caa CAA 0 issue "ca.example"
alias CNAME MAIL
twice CNAME alias
gone CNAME nothing
out CNAME www.example.net.
empty.below TXT "x"
*.wild TXT "any"
sub NS ns.sub
sub NS ns.elsewhere.example.
ns.sub A 192.0.2.54
safe NS ns.sub
safe DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000
dname DNAME example.net.
"""


@dataclass(frozen=True)
class Case:
    """rrsets: owner and type of each, by section; those with a plus are signed. nsec: the types that are denied."""

    qname: str
    qtype: str
    answer: str = ""
    authority: str = ""
    additional: str = ""
    why: str = ""
    coredns: str = ""
    rcode: str = "NOERROR"
    delv: str = "fully validated"
    nsec: str = ""
    types: str = ""
    fields: tuple[str, ...] = field(default=("rcode", "answer", "authority", "additional"))


APEX = "+example.org./NS"
SOA = "+example.org./SOA"
MORE = "a zone has other types than CoreDNS's bitmap: PTR, MX, NAPTR, SVCB, HTTPS, CAA"
CASES = [
    Case("ns.example.org.", "A", "+ns.example.org./A", APEX, why="one record"),
    Case("many.example.org.", "A", "+many.example.org./A", APEX, why="three records, one set"),
    Case("txt.example.org.", "TXT", "+txt.example.org./TXT", APEX, why="no name in rdata"),
    Case("caa.example.org.", "CAA", "+caa.example.org./CAA", APEX, why="a newer type"),
    Case("naptr.example.org.", "NAPTR", "+naptr.example.org./NAPTR", APEX,
         why="a name behind strings, in lower case where it is signed"),
    Case("srv.example.org.", "SRV", "+srv.example.org./SRV", APEX, "+NS.example.org./A", why="additional: signed"),
    Case("example.org.", "MX", "+example.org./MX", APEX,
         "+MAIL.example.org./A +MAIL.example.org./AAAA", why="owner as its target is spelt"),
    Case("example.org.", "SOA", "+example.org./SOA", APEX, why="the apex"),
    Case("EXAMPLE.org.", "NS", "+EXAMPLE.org./NS", "", "+ns.example.org./A", why="as the client spells it"),
    Case("x.wild.example.org.", "TXT", "+x.wild.example.org./TXT", APEX,
         why="of a wildcard: signed as if it stood there"),
    Case("alias.example.org.", "A", "+alias.example.org./CNAME +MAIL.example.org./A", APEX,
         why="an alias and its target"),
    Case("twice.example.org.", "A",
         "+twice.example.org./CNAME +alias.example.org./CNAME +MAIL.example.org./A", APEX,
         why="two aliases"),
    Case("mail.example.org.", "TXT", "", f"{SOA} +mail.example.org./NSEC", why="no such type", nsec="TXT"),
    Case("nothing.example.org.", "A", "", f"{SOA} +nothing.example.org./NSEC", nsec="A",
         why="no such name: it is said to have no such type"),
    Case("below.example.org.", "A", "", f"{SOA} +below.example.org./NSEC", nsec="A", why="an empty non-terminal"),
    Case("example.org.", "TXT", "", f"{SOA} +example.org./NSEC", nsec="TXT", why="at the apex"),
    Case("gone.example.org.", "A", "+gone.example.org./CNAME", f"{SOA} +nothing.example.org./NSEC", nsec="A",
         why="an alias of nothing: what is denied is its target", coredns="it denies nothing behind an alias"),
    Case("mail.example.org.", "NSEC", "+mail.example.org./NSEC", "", why="asked for the proof itself"),
    Case("mail.example.org.", "DS", "", f"{SOA} +mail.example.org./NSEC", nsec="DS NS",
         why="no delegation is there, and the proof does not say one"),
    Case("sub.example.org.", "DS", "", f"{SOA} +sub.example.org./NSEC", nsec="DS SOA A", types="NS",
         why="a delegation without DS: what is below is unsigned"),
    Case("safe.example.org.", "DS", "+safe.example.org./DS", APEX, why="DS is the parent's"),
    Case("www.sub.example.org.", "A", "", "sub.example.org./NS +sub.example.org./NSEC", "ns.sub.example.org./A",
         nsec="DS SOA A", types="NS", why="a referral: the NSEC record is the delegation's", delv="",
         coredns="its NSEC record is of the name that was asked"),
    Case("www.safe.example.org.", "A", "", "safe.example.org./NS +safe.example.org./DS", "ns.sub.example.org./A",
         why="a referral to a signed zone", delv="", coredns="file leaves out the glue of ns.sub"),
    Case("a.dname.example.org.", "A", "+dname.example.org./DNAME +a.dname.example.org./CNAME", why="DNAME",
         fields=("answer",), delv=""),
    Case("out.example.org.", "A", "+out.example.org./CNAME", fields=("answer",), why="out of the zones", delv=""),
    Case("example.org.", "DNSKEY", "+example.org./DNSKEY", why="the key"),
    Case("a.split.test.", "A", "+a.split.test./A", "+split.test./NS", "+ns.split.test./A", why="by the ZSK"),
    Case("split.test.", "DNSKEY", "+split.test./DNSKEY", why="both keys, signed by the KSK"),
    Case("b.split.test.", "A", "", "+split.test./SOA +b.split.test./NSEC", why="split, and denied", nsec="A"),
    Case("a.many.test.", "A", "+a.many.test./A", "+many.test./NS", "+ns.many.test./A", why="by three keys"),
    Case("x.many.test.", "A", "", "+many.test./SOA +x.many.test./NSEC", why="denied by three keys"),
    Case("many.test.", "DNSKEY", "+many.test./DNSKEY", why="RSA, ECDSA and Ed25519"),
    Case("a.elsewhere.test.", "A", "+a.elsewhere.test./A", "elsewhere.test./NS", "ns.elsewhere.test./A",
         why="only what is in the zones of dnssec is signed", delv=""),
    Case("x.a.elsewhere.test.", "A", "", "elsewhere.test./SOA", rcode="NXDOMAIN", delv="",
         why="the SOA record is not of a signed zone: nothing to deny with",
         coredns="it signs the record in the name of a zone that it is not in"),
    Case("elsewhere.test.", "DNSKEY", "", "elsewhere.test./SOA", rcode="NXDOMAIN", delv="",
         why="not an apex of dnssec's"),
]  # fmt: skip


@dataclass
class World:
    server: Server
    keys: dict[str, list[KeyFiles]]
    coredns: CoreDNS | None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("dnssec")
    (folder / "db.example.org").write_text(ZONE)
    made = {
        "ONE": make_key(folder, "example.org.", P256, KSK, ttl="1200"),
        "KSK": make_key(folder, "split.test.", P256, KSK),
        "ZSK": make_key(folder, "split.test.", P384, ZSK),
        "RSA": make_key(folder, "many.test.", RSASHA256, ZSK),
        "ED": make_key(folder, "many.test.", ED25519, ZSK),
        "P384": make_key(folder, "many.test.", P384, ZSK),
        "RENEWED": make_key(folder, "renewed.test.", P256, ZSK),
        "ELSE": make_key(folder, "elsewhere.test.", ED25519, ZSK),
    }
    corefile = COREFILE
    for zone in ("split", "many", "renewed", "elsewhere"):
        corefile = corefile.replace(f"{zone.upper()}_DATA", DATA.replace("ZONE", zone))
    for name, key in made.items():
        corefile = corefile.replace(f" {name}", f" {key.base.name}")
    keys: dict[str, list[KeyFiles]] = {}
    for key in made.values():
        keys.setdefault(key.zone, []).append(key)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(folder, corefile, workers=1))
        coredns = None
        if COREDNS is not None:
            theirs = corefile.replace("METRICS_PORT", str(free_port()))
            coredns = stack.enter_context(CoreDNS(folder, theirs))
        yield World(server, keys, coredns)


def ask(port: int, qname: str, qtype: str, *, dnssec: bool = True, tcp: bool = True) -> dns.message.Message:
    query = dns.message.make_query(qname, qtype, want_dnssec=dnssec, payload=4096)
    return (dns.query.tcp if tcp else dns.query.udp)(query, "127.0.0.1", 5.0, port)


def validated(section: list[dns.rrset.RRset], keys: dict[str, list[KeyFiles]]) -> str:
    """Owner and type of each RRset, with a plus where all signatures of it are good."""
    found = []
    for rrset in section:
        if rrset.rdtype == dns.rdatatype.RRSIG:
            continue
        mark = ""
        for sigs in section:
            if (sigs.rdtype, sigs.covers, sigs.name) != (dns.rdatatype.RRSIG, rrset.rdtype, rrset.name):
                continue
            signer = sigs[0].signer
            zone_keys = next(of for zone, of in keys.items() if signer.is_subdomain(dns.name.from_text(zone)))
            wanted = {key.tag for key in zone_keys}
            if len({key.dnskey.flags for key in zone_keys}) == 2:
                flags = KSK if rrset.rdtype == dns.rdatatype.DNSKEY else ZSK
                wanted = {key.tag for key in zone_keys if key.dnskey.flags == flags}
            assert {sig.key_tag for sig in sigs} == wanted
            assert sigs.ttl == rrset.ttl
            dnskeys = dns.rrset.from_rdata_list(signer, 60, [key.dnskey for key in zone_keys])
            for sig in sigs:
                dns.dnssec.validate_rrsig(rrset, sig, {signer: dnskeys})
                now = time.time()
                assert sig.inception <= now - 3 * 3600 + 1
                assert now + 8 * 86400 - 600 < sig.expiration <= now + 8 * 86400 + 1
            mark = "+"
        found.append(f"{mark}{rrset.name}/{dns.rdatatype.to_text(rrset.rdtype)}")
    return " ".join(sorted(found))


def name_of(case: Case) -> str:
    return f"{case.qname} {case.qtype} {case.why}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_all_is_signed_and_validates(world: World, case: Case) -> None:
    for _ in range(2):  # signed now, and found among the signatures
        reply = ask(world.server.port, case.qname, case.qtype)
        sections = {"answer": reply.answer, "authority": reply.authority, "additional": reply.additional}
        assert dns.rcode.to_text(reply.rcode()) == case.rcode, reply
        for name in case.fields:
            if name != "rcode":
                wanted = " ".join(sorted(getattr(case, name).split()))
                assert validated(sections[name], world.keys) == wanted, f"{name}: {reply}"
        for rrset in [*reply.answer, *reply.authority]:
            if rrset.rdtype == dns.rdatatype.NSEC:
                check_nsec(case, rrset)


def check_nsec(case: Case, rrset: dns.rrset.RRset) -> None:
    """The record denies what it should, and no name in between."""
    nsec = rrset[0]
    assert rrset.ttl == (300 if not case.delv else 60)  # the delegation's, or the SOA record's minimum
    assert rrset.name < nsec.next
    types = {
        dns.rdatatype.to_text(window * 256 + at * 8 + bit)
        for window, bits in nsec.windows
        for at, octet in enumerate(bits)
        for bit in range(8)
        if octet & (0x80 >> bit)
    }
    assert {"RRSIG", "NSEC", *case.types.split()} <= types
    assert not types & set(case.nsec.split())
    if "NS" in case.types:
        assert types == {"NS", "RRSIG", "NSEC"}
    else:
        assert nsec.next == dns.name.Name((b"\0", *rrset.name.labels))


def outline(reply: dns.message.Message) -> dict[str, str]:
    """What a reply holds, with a plus for what has a signature, good or not; the order is its own."""
    found = {"rcode": dns.rcode.to_text(reply.rcode())}
    for name in ("answer", "authority", "additional"):
        section = getattr(reply, name)
        signed = {(rrset.name, rrset.covers) for rrset in section if rrset.rdtype == dns.rdatatype.RRSIG}
        found[name] = " ".join(sorted(
            "+" * ((rrset.name, rrset.rdtype) in signed)
            + f"{rrset.name.canonicalize()}/{dns.rdatatype.to_text(rrset.rdtype)}"
            for rrset in section if rrset.rdtype != dns.rdatatype.RRSIG
        ))  # fmt: skip
    return found


@pytest.mark.skipif(COREDNS is None, reason="CoreDNS is not on PATH")
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_coredns_answers_the_same(world: World, case: Case) -> None:
    assert world.coredns is not None
    ours, theirs = (outline(ask(port, case.qname, case.qtype)) for port in (world.server.port, world.coredns.port))
    if case.coredns:
        assert ours != theirs, f"CoreDNS answers as fastdns does; the case says: {case.coredns}"
    else:
        assert ours == theirs


def test_who_does_not_ask_for_it_gets_no_signatures(world: World) -> None:
    for qname, qtype in (("mail.example.org", "A"), ("nothing.example.org", "A"), ("example.org", "DNSKEY")):
        reply = ask(world.server.port, qname, qtype, dnssec=False)
        assert not any(rrset.rdtype in (dns.rdatatype.RRSIG, dns.rdatatype.NSEC)
                       for rrset in [*reply.answer, *reply.authority, *reply.additional])  # fmt: skip
    assert ask(world.server.port, "nothing.example.org", "A", dnssec=False).rcode() == dns.rcode.NXDOMAIN
    keys = ask(world.server.port, "example.org", "DNSKEY", dnssec=False)
    assert keys.answer[0].ttl == 1200
    assert keys.flags & dns.flags.AA


def test_a_reply_that_does_not_fit_is_truncated(world: World) -> None:
    query = dns.message.make_query("many.test.", "DNSKEY", want_dnssec=True, payload=600)
    assert dns.query.udp(query, "127.0.0.1", 5.0, world.server.port).flags & dns.flags.TC


def test_signatures_are_made_once(world: World) -> None:
    before = {name: world.server.total(f"coredns_dnssec_cache_{name}") for name in NAMES}
    for _ in range(3):
        ask(world.server.port, "new.below.example.org", "TXT")

    def grown(name: str) -> float:
        return world.server.total(f"coredns_dnssec_cache_{name}") - before[name]

    # Of the first question at least the NSEC record has to be signed; of the others nothing has.
    wait_until(lambda: grown("hits_total") + grown("misses_total") == 6)
    assert 1 <= grown("misses_total") <= 2
    assert grown("entries") == grown("misses_total")
    labels = {labels for (name, labels) in world.server.samples() if name == "coredns_dnssec_cache_entries"}
    assert all(dict(one)["type"] == "signature" and "server" in dict(one) for one in labels)


NAMES = ("entries", "hits_total", "misses_total")


@pytest.mark.skipif(shutil.which("delv") is None, reason="delv is not installed")
def test_delv_validates(world: World, tmp_path: Path) -> None:
    for zone, keys in world.keys.items():
        if zone == "elsewhere.test.":
            continue
        anchor = tmp_path / f"{zone}conf"
        signing = [key for key in keys if key.dnskey.flags == KSK] or keys
        anchor.write_text("".join(key.anchor for key in signing))
        asked = [case for case in CASES[::3] if case.delv and case.qname.lower().endswith(zone)]
        processes = [
            subprocess.Popen(
                ["delv", "-a", anchor, f"+root={zone}", "@127.0.0.1", "-p", str(world.server.port), case.qname,
                 case.qtype],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for case in asked
        ]  # fmt: skip
        for case, process in zip(asked, processes, strict=True):
            output = process.communicate(timeout=20)[0]
            assert case.delv in output, f"{case}\n{output}"


def test_keys_are_read_again_at_a_reload(world: World) -> None:
    """SIGUSR1, with the same Corefile."""
    (before,) = world.keys["renewed.test."]
    assert validated(ask(world.server.port, "a.renewed.test.", "A").answer, world.keys) == "+a.renewed.test./A"
    new = make_key(world.server.folder, "renewed.test.", P256, ZSK)
    for suffix in (".private", ".key"):
        Path(f"{new.base}{suffix}").replace(f"{before.base}{suffix}")
    world.server.process.send_signal(signal.SIGUSR1)

    def is_new() -> bool:
        reply = ask(world.server.port, "renewed.test.", "DNSKEY", dnssec=False)
        return list(reply.answer[0]) == [new.dnskey]

    wait_until(is_new, 30.0)
    keys = {**world.keys, "renewed.test.": [new]}
    assert validated(ask(world.server.port, "a.renewed.test.", "A").answer, keys) == "+a.renewed.test./A"


UNBOUND = """\
server:
    interface: 127.0.0.1
    port: PORT
    directory: "FOLDER"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    num-threads: 1
    do-not-query-localhost: no
    # RFC 8198: it reasons from the NSEC records that it has seen.
    aggressive-nsec: yes
    trust-anchor-file: "anchors"
    local-zone: "test." nodefault
"""


@pytest.mark.skipif(shutil.which("unbound") is None, reason="unbound is not installed")
def test_unbound_validates(world: World, tmp_path: Path) -> None:
    """A resolver finds all of it secure, the denials first: none of them denies what there is."""
    port = free_port()
    zones = [zone for zone in world.keys if zone not in ("elsewhere.test.", "renewed.test.")]
    config = UNBOUND.replace("PORT", str(port)).replace("FOLDER", str(tmp_path))
    for zone in zones:
        config += f'stub-zone:\n    name: "{zone}"\n    stub-addr: 127.0.0.1@{world.server.port}\n'
    (tmp_path / "unbound.conf").write_text(config)
    anchors = [
        f"{key.zone} IN DNSKEY {key.dnskey.to_text()}\n"
        for zone in zones
        for key in [key for key in world.keys[zone] if key.dnskey.flags == KSK] or world.keys[zone]
    ]
    (tmp_path / "anchors").write_text("".join(anchors))
    log = tmp_path / "unbound.log"
    with log.open("wb") as output:
        words = ["unbound", "-d", "-c", "unbound.conf"]
        process = subprocess.Popen(words, cwd=tmp_path, stdout=output, stderr=output)
    try:
        wait_until(lambda: "start of service" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        cases = [case for case in CASES if case.delv and case.qtype != "NSEC"]
        for case in sorted(cases, key=lambda case: bool(case.answer)):
            reply = ask(port, case.qname, case.qtype)
            assert reply.rcode() == dns.rcode.NOERROR, f"{case}\n{reply}\n{log.read_text()}"
            assert reply.flags & dns.flags.AD, f"{case}\n{reply}"
            assert bool(reply.answer) == bool(case.answer), f"{case}\n{reply}"
    finally:
        process.kill()
        process.wait()
