"""Signed zones: what a validator needs is there, for random zones and questions; and nothing where nobody asks."""

from __future__ import annotations

import dns.dnssec
import dns.name
import dns.rdatatype
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.authoritative._nsec3 import hashed
from tests.authoritative.reference import Labels, Zone, answer
from tests.authoritative.served import Served, summary, texts, zone_of
from tests.authoritative.signing import Parameters, Proofs, hash_of, unsigned, with_nsec, with_nsec3
from tests.authoritative.test_semantics import ORIGIN, contents, made, names, text_of, wire_bytes

pytestmark = pytest.mark.native

QTYPES = ("A", "TXT", "DS", "CNAME", "MX", "SOA")
ZONE = dns.name.from_text("z.test.")
CHAINS = st.one_of(
    st.none(),
    st.builds(
        Parameters, st.sampled_from([0, 1, 10]), st.sampled_from([b"", b"\xaa\xbb", b"A" * 60]), st.booleans()
    ),
)


def lines_of(zone: Zone) -> list[tuple[Labels, str, str]]:
    return [
        (name, kind, text_of(rdata))
        for name, kinds in zone.items()
        for kind, rdatas in kinds.items()
        for rdata in rdatas
    ]


def whole(name: Labels) -> dns.name.Name:
    return dns.name.from_text(text_of(name + ORIGIN))


def check(served: Served, zone: Zone, parameters: Parameters | None, name: Labels, kind: str) -> None:
    wanted = answer(zone, ORIGIN, name + ORIGIN, kind)
    reply = served.ask(whole(name), kind, dnssec=True)
    plain = served.ask(whole(name), kind)
    assert summary(plain)["rcode"] == wanted.rcode
    assert not [text for text in texts(plain.authority) if " RRSIG " in text or " NSEC" in text]
    kept = ("RRSIG", "NSEC", "NSEC3", "DS")
    assert texts(reply.answer, ("RRSIG",)) == texts(plain.answer, ("RRSIG",))
    assert texts(reply.authority, kept) == texts(plain.authority, kept)
    # A CNAME record that a DNAME makes has no signature: RFC 6672 section 5.3.1. Nor have a cut's name servers.
    made_of_dname = {
        rrset.name
        for rrset in reply.answer
        for dname in reply.answer
        if dname.rdtype == dns.rdatatype.DNAME and rrset.name != dname.name and rrset.name.is_subdomain(dname.name)
    }
    missing = [one for one in unsigned(reply.answer) if not (one[1] == "CNAME" and one[0] in made_of_dname)]
    assert missing == []
    cut = whole(wanted.authority) if isinstance(wanted.authority, tuple) else None
    assert [one for one in unsigned(reply.authority) if one != (cut, "NS")] == []
    proofs = Proofs(reply, ZONE, parameters)
    for used, encloser in wanted.wildcards:
        proofs.assert_no_closer(whole(used), whole(encloser))
    if cut is not None:
        if "DS" in zone[wanted.authority]:  # type: ignore[index]
            assert any(rrset.rdtype == dns.rdatatype.DS and rrset.name == cut for rrset in reply.authority)
        else:
            proofs.assert_no_ds(cut)
    elif wanted.rcode == "NXDOMAIN":
        existing = {whole(one[at:]) for one in zone for at in range(len(one) + 1)}
        proofs.assert_no_name(whole(wanted.last), existing)
    elif wanted.authority == "soa":
        proofs.assert_no_type(whole(wanted.last), kind)


@settings(max_examples=40, deadline=None)
@given(contents, CHAINS, st.lists(st.tuples(names, st.sampled_from(QTYPES)), min_size=10, max_size=20))
def test_replies_prove_themselves(
    content: dict[Labels, list[tuple[str, list[object]]]],
    parameters: Parameters | None,
    questions: list[tuple[Labels, str]],
) -> None:
    zone = made(content)
    lines = lines_of(zone)
    text = with_nsec(zone, ORIGIN, lines) if parameters is None else with_nsec3(zone, ORIGIN, lines, parameters)
    served = Served([zone_of(text, "z.test.")])
    near = [(("a", *name), "A") for name in zone] + [(name, "DS") for name in zone]
    for name, kind in [*questions, *near]:
        if wire_bytes(name + ORIGIN) <= 255:
            check(served, zone, parameters, name, kind)


def test_a_wildcard_beside_an_empty_name_above_unsigned_cuts() -> None:
    """With opt-out, b has no record: the closest encloser that can be proved has a wildcard, which exists."""
    content: dict[Labels, list[tuple[str, list[object]]]] = {
        (): [("TXT", ['"t"'])],
        ("a", "*"): [("TXT", ['"t"'])],
        ("a", "c", "b"): [("NS", [("z", "test")])],
    }
    test_replies_prove_themselves.hypothesis.inner_test(  # type: ignore[attr-defined]
        content, Parameters(0, b"", True), [(("a", "b"), "CNAME")]
    )


def test_a_wildcard_whose_record_covers_an_unsigned_cut() -> None:
    """The record of the wildcard, which has DS, says with its range that the cut may have none."""
    label = "x" * 60
    content: dict[Labels, list[tuple[str, list[object]]]] = {
        ("*",): [("DS", ["1 13 1 0000000000000000000000000000000000000000"])],
        (label, label): [("NS", [("z", "test"), ("a", "a", "z", "test")])],
        ("a", label, "a"): [("TXT", ['"t"'])],
    }
    test_replies_prove_themselves.hypothesis.inner_test(  # type: ignore[attr-defined]
        content, Parameters(10, b"", True), [((label, label), "DS")]
    )


@given(names, st.integers(0, 20), st.binary(max_size=255))
def test_hashed_names(name: Labels, iterations: int, salt: bytes) -> None:
    wire = whole(name).to_wire()
    assert wire is not None
    assert hashed(wire.lower(), iterations, salt) == hash_of(whole(name), Parameters(iterations, salt))


def test_the_hash_of_the_rfc() -> None:
    """RFC 5155 appendix A."""
    assert hashed(b"\x07example\0", 12, bytes.fromhex("aabbccdd")) == "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"


def test_signatures_of_dnspython_are_valid() -> None:
    """A zone that dnspython signs: each RRset of a reply validates with the zone's key."""
    text = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n*.w 60 TXT a\nalias 60 CNAME x.w\n"
    zone = zone_of(text + "sub 60 NS ns.sub\nns.sub 60 A 192.0.2.2\n", "z.test.")
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256)
    dns.dnssec.sign_zone(zone, keys=[(private, key)], lifetime=3600, dnskey_ttl=60)
    served = Served([zone])
    keys = {ZONE: zone.find_rrset("z.test.", "DNSKEY")}
    for name, kind in [("ns", "A"), ("x.w", "TXT"), ("alias", "TXT"), ("nope", "A"), ("x.w", "A"), ("a.sub", "A")]:
        reply = served.ask(f"{name}.z.test.", kind, dnssec=True)
        sets = {(rrset.name, rrset.rdtype, rrset.covers): rrset for rrset in [*reply.answer, *reply.authority]}
        validated = 0
        for (owner, rdtype, _), rrset in sets.items():
            signatures = sets.get((owner, dns.rdatatype.RRSIG, rdtype))
            if rdtype != dns.rdatatype.RRSIG and signatures is not None:
                dns.dnssec.validate(rrset, signatures, keys)
                validated += 1
        assert validated >= 1, name


def test_over_150_iterations_there_are_no_proofs() -> None:
    """RFC 9276: nobody's time is spent on them."""
    zone = made({("a",): [("A", ["192.0.2.1"])]})
    text = with_nsec3(zone, ORIGIN, lines_of(zone), Parameters(151))
    reply = Served([zone_of(text, "z.test.")]).ask("nope.z.test.", "A", dnssec=True)
    assert texts(reply.authority, ("RRSIG",)) == ["z.test. 5 SOA ns.z.test. host.z.test. 1 2 3 4 5"]


@pytest.mark.parametrize("name", ["{}", "a.{}", "\\000\\000\\000", "x.\\000\\000\\000", "{}.\\000\\000\\000"])
def test_the_shelf_is_no_name_of_the_zone(name: str) -> None:
    """NSEC3 records are no data of their owners (RFC 5155 section 7.2.8); nor is where they are kept."""
    zone = made({("a",): [("A", ["192.0.2.1"])]})
    served = Served([zone_of(with_nsec3(zone, ORIGIN, lines_of(zone), Parameters()), "z.test.")])
    asked = name.format(hash_of(whole(("a",)), Parameters())) + ".z.test."
    for kind in ("NSEC3", "A", "ANY"):
        reply = served.ask(asked, kind, dnssec=True)
        assert summary(reply)["rcode"] == "NXDOMAIN"
        Proofs(reply, ZONE, Parameters()).assert_no_name(dns.name.from_text(asked))
