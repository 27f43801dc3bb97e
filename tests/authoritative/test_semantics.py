"""Random zones and random questions: the answers are those of a reference that is written from the RFCs."""

from __future__ import annotations

import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.authoritative.reference import Labels, Said, Zone, answer
from tests.authoritative.served import Served, summary, zone_of

pytestmark = pytest.mark.native

ORIGIN: Labels = ("z", "test")
SOA_TEXT = "ns.z.test. host.z.test. 1 2 3 4 5"
# Few labels, so that names meet. The last one makes names too long where DNAMEs put it in front again.
labels = st.sampled_from(["a", "b", "*", "c", "x" * 60])
names = st.lists(labels, max_size=4).map(tuple)
targets = st.one_of(
    names.map(lambda name: (*name, *ORIGIN)), st.sampled_from([("other",), ORIGIN, ("a", "elsewhere", "test")])
)
one_set = st.one_of(
    st.tuples(st.just("A"), st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2"]), min_size=1, unique=True)),
    st.tuples(st.just("TXT"), st.just(['"t"'])),
    st.tuples(st.just("DS"), st.just([f"1 13 1 {'0' * 40}"])),
    st.tuples(st.just("CNAME"), targets.map(lambda target: [target])),
    st.tuples(st.just("DNAME"), targets.map(lambda target: [target])),
    st.tuples(st.just("NS"), st.lists(targets, min_size=1, max_size=2, unique=True)),
)
contents = st.dictionaries(names, st.lists(one_set, min_size=1, max_size=3), max_size=12)
QTYPES = ("A", "TXT", "DS", "CNAME", "DNAME", "NS", "ANY", "SOA", "MX")


def wire_bytes(name: Labels) -> int:
    return sum(len(label) + 1 for label in name) + 1


def made(content: dict[Labels, list[tuple[str, list[object]]]]) -> Zone:
    """What a zone file may hold: a CNAME record stands alone, and not at the apex."""
    zone: dict[Labels, dict[str, list[object]]] = {(): {"SOA": [SOA_TEXT], "NS": [("ns", *ORIGIN)]}}
    for name, sets in content.items():
        if wire_bytes(name + ORIGIN) > 255:
            continue
        kinds = dict(sets)
        if "CNAME" in kinds:
            kinds = {"CNAME": kinds["CNAME"]} if name else {}
        # A wildcard with these means nothing that an RFC defines (RFC 4592 sections 4.2 and 4.4).
        if "*" in name:
            kinds = {kind: rdatas for kind, rdatas in kinds.items() if kind not in ("NS", "DNAME")}
        if not name:
            kinds.pop("NS", None)
            kinds.pop("DS", None)
        kinds = {
            kind: [one for one in rdatas if kind not in ("CNAME", "DNAME", "NS") or wire_bytes(one) <= 255]  # type: ignore[arg-type]
            for kind, rdatas in kinds.items()
        }
        zone.setdefault(name, {}).update({kind: rdatas for kind, rdatas in kinds.items() if rdatas})
    return {name: kinds for name, kinds in zone.items() if kinds}


def text_of(rdata: object) -> str:
    return ".".join(rdata) + "." if isinstance(rdata, tuple) else str(rdata)


def to_zone(zone: Zone) -> dns.zone.Zone:
    lines = [
        f"{text_of(name + ORIGIN)} 60 IN {kind} {text_of(rdata)}"
        for name, kinds in zone.items()
        for kind, rdatas in kinds.items()
        for rdata in rdatas
    ]
    return zone_of("\n".join(lines) + "\n", "z.test.")


def lines(records: list[tuple[Labels, str, object]]) -> list[str]:
    return sorted(f"{text_of(name)} 60 {kind} {text_of(rdata)}".lower() for name, kind, rdata in records)


def expected_authority(zone: Zone, said: Said) -> list[str]:
    if said.authority == "soa":
        return [f"z.test. 5 soa {SOA_TEXT}"]
    if said.authority == "ns":
        return ["z.test. 60 ns ns.z.test."]
    if said.authority is None:
        return []
    assert isinstance(said.authority, tuple)
    return lines([(said.authority + ORIGIN, "NS", rdata) for rdata in zone[said.authority]["NS"]])


@settings(max_examples=60, deadline=None)
@given(contents, st.lists(st.tuples(names, st.sampled_from(QTYPES)), min_size=20, max_size=30))
def test_answers_are_the_references(
    content: dict[Labels, list[tuple[str, list[object]]]], questions: list[tuple[Labels, str]]
) -> None:
    zone = made(content)
    served = Served([to_zone(zone)])
    near = [(("a", *name), "A") for name in zone] + [(name, "A") for name in zone]
    for name, kind in [*questions, *near]:
        if wire_bytes(name + ORIGIN) > 255:
            continue
        wanted = answer(zone, ORIGIN, name + ORIGIN, kind)
        reply = summary(served.ask(text_of(name + ORIGIN), kind))
        got = {
            "rcode": reply["rcode"],
            "aa": reply["aa"],
            "answer": sorted(line.lower() for line in reply["answer"]),  # type: ignore[attr-defined]
            "authority": sorted(line.lower() for line in reply["authority"]),  # type: ignore[attr-defined]
        }
        authority = expected_authority(zone, wanted)
        if wanted.authority == "ns" and kind == "NS":
            # They are the answer.
            authority = []
        assert got == {
            "rcode": wanted.rcode, "aa": wanted.aa, "answer": lines(wanted.answer), "authority": authority,
        }, (name, kind)  # fmt: skip
