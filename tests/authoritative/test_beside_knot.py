"""Random zones, served by Knot DNS and by us: the same answers, referrals and denials. Skipped without knotd."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
import pytest

from tests.authoritative.reference import MAX_ALIASES, Labels, Zone
from tests.authoritative.served import Served, summary, texts, zone_of
from tests.authoritative.signing import Parameters, with_nsec, with_nsec3
from tests.authoritative.test_semantics import made, text_of, wire_bytes
from tests.support import free_port, wait_until

KNOTD = shutil.which("knotd") or shutil.which("knotd", path="/usr/sbin")
pytestmark = pytest.mark.native

ZONES = 8
QUESTIONS = 40
LABELS = ["a", "b", "c", "*", "d"]
CONFIG = """\
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{folder}"
template:
  - id: default
    storage: "{folder}"
    semantic-checks: off
zone:
"""


def random_zone(rng: random.Random, origin: Labels) -> Zone:
    """As test_semantics makes them, from a seed."""

    def name() -> Labels:
        return tuple(rng.choice(LABELS) for _ in range(rng.randrange(4)))

    def target() -> Labels:
        return rng.choice([(*name(), *origin), (*name(), *origin), ("host", "other")])

    content: dict[Labels, list[tuple[str, list[object]]]] = {}
    for _ in range(rng.randrange(4, 14)):
        kind = rng.choice(["A", "A", "TXT", "MX", "CNAME", "CNAME", "DNAME", "NS", "DS"])
        rdata: object = {
            "A": "192.0.2.1", "TXT": '"t"', "MX": f"10 {text_of(target())}", "DS": f"1 13 1 {'0' * 40}",
        }.get(kind) or target()  # fmt: skip
        content.setdefault(name(), []).append((kind, [rdata]))
    zone = dict(made(content))
    zone[()] = {**zone[()], "NS": [("ns", *origin)]}
    zone.setdefault(("ns",), {"A": ["192.0.2.53"]})
    # Knot serves no zone with a DNAME at a zone cut (RFC 6672 section 2.4), or with records that a DNAME hides.
    for name, kinds in zone.items():
        if name and "DNAME" in kinds:
            kinds.pop("NS", None)
    for hidden in [other for other in zone for here in zone if "DNAME" in zone[here] and below(other, here)]:
        zone.pop(hidden, None)
    return zone


def below(name: Labels, other: Labels) -> bool:
    return len(name) > len(other) and name[len(name) - len(other) :] == other


def lines_of(zone: Zone) -> list[tuple[Labels, str, str]]:
    return [
        (name, kind, text_of(rdata))
        for name, kinds in zone.items()
        for kind, rdatas in kinds.items()
        for rdata in rdatas
    ]


def zone_text(number: int, zone: Zone, origin: Labels) -> str:
    """Unsigned, or with one of the chains."""
    lines = lines_of(zone)
    if number % 3 == 1:
        return with_nsec(zone, origin, lines)
    if number % 3 == 2:
        return with_nsec3(zone, origin, lines, Parameters(number, b"\xab", opt_out=number % 2 == 0))
    # RFC 4035 section 3.1.4 has the DS record in a referral of a signed zone; for others, Knot and we differ.
    lines = [line for line in lines if line[1] != "DS"]
    return "".join(f"{text_of(name + origin)} 60 IN {kind} {rdata}\n" for name, kind, rdata in lines)


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, list[tuple[Labels, Zone, str]]]]:
    """(port, [(origin, zone, text)]) of a Knot DNS that serves random zones."""
    if KNOTD is None:
        pytest.skip("there is no knotd")
    folder = tmp_path_factory.mktemp("knot")
    port = free_port()
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    zones = []
    config = CONFIG.format(folder=folder, port=port)
    for number in range(ZONES):
        origin = (f"z{number}", "test")
        zone = random_zone(rng, origin)
        text = zone_text(number, zone, origin)
        (folder / f"db.{number}").write_text(text)
        config += f'  - domain: {text_of(origin)}\n    file: "db.{number}"\n'
        zones.append((origin, zone, text))
    (folder / "knot.conf").write_text(config)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([KNOTD, "-c", str(folder / "knot.conf")], stdout=log, stderr=log)
    try:
        wait_until(lambda: all(answers(port, text_of(origin)) for origin, _, _ in zones), 20, log_of(folder))
        yield port, zones
    finally:
        process.terminate()
        process.wait(20)


def log_of(folder: Path) -> str:
    return (folder / "log").read_text()


def answers(port: int, name: str) -> bool:
    try:
        return dns.query.udp(dns.message.make_query(name, "SOA"), "127.0.0.1", 0.5, port).rcode() == 0
    except (OSError, dns.exception.Timeout):
        return False


@pytest.mark.unsanitized("it starts Knot DNS")
def test_the_answers_are_knots(knot: tuple[int, list[tuple[Labels, Zone, str]]]) -> None:
    port, zones = knot
    served = Served([zone_of(text, text_of(origin)) for origin, _, text in zones])
    rng = random.Random(7)
    compared = 0
    for origin, zone, text in zones:
        for _ in range(QUESTIONS):
            near = rng.choice([*zone, ()])
            name = (*(rng.choice(LABELS) for _ in range(rng.randrange(3))), *near)
            kind = rng.choice(["A", "A", "TXT", "CNAME", "DS", "NS", "MX", "DNAME", "SOA"])
            if wire_bytes(name + origin) > 255:
                continue
            for dnssec in (False, True):
                query = dns.message.make_query(text_of(name + origin), kind, use_edns=0, want_dnssec=dnssec)
                theirs = said(dns.query.tcp(query, "127.0.0.1", 5, port))
                reply = served.ask(text_of(name + origin), kind, dnssec=dnssec)
                if sum(rrset.rdtype == dns.rdatatype.CNAME for rrset in reply.answer) >= MAX_ALIASES:
                    # Knot follows further.
                    continue
                ours = said(reply)
                where = f"{name} {kind} DO={dnssec}\n{text}"
                # Where a wildcard or an opt-out is part of the proof, Knot sometimes leaves out records that
                # test_signed.py wants.
                assert set(theirs.pop("proofs")) <= set(ours.pop("proofs")), where  # type: ignore[call-overload]
                assert ours == theirs, where
                compared += 1
    assert compared > ZONES * QUESTIONS


def said(reply: dns.message.Message) -> dict[str, object]:
    """What both must say. In positive answers we add the zone's name servers, as CoreDNS does."""
    made = dict(summary(reply))
    del made["additional"]
    proofs = [line for line in texts(reply.authority) if " NSEC" in line or " RRSIG nsec" in line]
    authority = [line for line in texts(reply.authority) if line not in proofs]
    if not any(rrset.rdtype == dns.rdatatype.SOA for rrset in reply.authority) and reply.answer and made["aa"]:
        authority = [line for line in authority if " NS " not in line and " RRSIG ns " not in line]
    return {**made, "authority": authority, "proofs": proofs}
