"""Several hosted zones with one name: which of them answers. No process, no socket."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import pytest

from fastdns.dns.names import wire_name
from fastdns.hostedzones._step import HostedStep
from fastdns.memory._store import Store, Writer
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

pytestmark = pytest.mark.native

NUMBER = 2
A, NS, CNAME, SOA, DS = 1, 2, 5, 6, 43
FIRST = {"www": "10.0.0.1", "sub": NS, "gone": NS, "a.ent": "10.0.0.2", "*.wild": "10.0.0.3", "to": "www.z.test."}
SECOND = {"www": "10.1.0.1", "only": "10.1.0.2", "x.sub": "10.1.0.3", "ent": "10.1.0.4", "back": "www.z.test."}


def fill(draft: Draft, serial: int, records: dict[str, str | int]) -> Draft:
    zone = draft.zone
    draft.add(zone, SOA, 60, wire_name("ns.z.test.") * 2 + serial.to_bytes(4, "big") + bytes(16))
    for label, value in records.items():
        owner = wire_name(f"{label}.").removesuffix(b"\0") + zone
        if value == NS:
            draft.add(owner, NS, 60, wire_name("ns.elsewhere."))
        elif str(value).endswith("."):
            draft.add(owner, CNAME, 60, wire_name(str(value)))
        else:
            draft.add(owner, A, 60, bytes(map(int, str(value).split("."))))
    return draft


class Served:
    """layers: of z.test., None: not listed yet. single.test. has FIRST alone."""

    def __init__(self, *layers: dict[str, str | int] | None, fall: tuple[str, ...] = ()) -> None:
        self.store = Store(1 << 22)
        zone, single = wire_name("z.test."), wire_name("single.test.")
        self.writer = ZoneWriter(Writer(self.store), NUMBER)
        self.writer.replace(Draft(zone))
        for number, records in enumerate(layers, 1):
            draft = Draft(zone, number)
            self.writer.replace(draft if records is None else fill(draft, number, records))
        self.writer.replace(fill(Draft(single), 9, FIRST))
        self.writer.writer.set_source(NUMBER, synced=True)
        step = HostedStep(
            source=NUMBER, zones=[zone, single], fall=[wire_name(name) for name in fall], not_loaded=1
        )
        self.worker = Worker(ServerTable([(".", 0, None)], [[step]]), self.store)

    def ask(self, name: str, kind: str = "A") -> tuple[str, str, int]:
        """The code, the records, and the serial of an SOA record in the authority section, or 0."""
        raw = self.worker.serve(dns.message.make_query(name, kind).to_wire())
        if raw is None:
            return "NOBODY", "", 0
        reply = dns.message.from_wire(raw)
        serials = [rrset[0].serial for rrset in reply.authority if rrset.rdtype == SOA]
        refers = not reply.answer and any(rrset.rdtype == NS for rrset in reply.authority)
        code = "REFERRAL" if refers else dns.rcode.to_text(reply.rcode())
        assert refers or reply.rcode() in (dns.rcode.SERVFAIL, dns.rcode.REFUSED) or reply.flags & dns.flags.AA
        return code, " ".join(str(data) for rrset in reply.answer for data in rrset), sum(serials)


@pytest.mark.parametrize(
    ("question", "expected", "why"),
    [
        ("www.z.test A", ("NOERROR", "10.0.0.1", 0), "the first one that has it"),
        ("www.z.test MX", ("NOERROR", "", 1), "no data is an answer"),
        ("only.z.test A", ("NOERROR", "10.1.0.2", 0), "the second one has it"),
        ("none.z.test A", ("NXDOMAIN", "", 2), "the last one denies it"),
        ("x.sub.z.test A", ("NOERROR", "10.1.0.3", 0), "what the first has delegated is the second's"),
        ("x.gone.z.test A", ("REFERRAL", "", 0), "unless it has it not"),
        ("gone.z.test DS", ("NOERROR", "", 1), "DS records of a cut are the zone's"),
        ("ent.z.test A", ("NOERROR", "10.1.0.4", 0), "an empty non-terminal"),
        ("y.wild.z.test A", ("NOERROR", "10.0.0.3", 0), "a wildcard"),
        ("to.z.test A", ("NOERROR", "www.z.test. 10.0.0.1", 0), "an alias"),
        (
            "back.z.test A",
            ("NOERROR", "www.z.test. 10.0.0.1", 0),
            "an alias of the second: the first has the target",
        ),
        ("z.test SOA", ("NOERROR", f"ns.z.test. ns.z.test. 1 {'0 ' * 4}".strip(), 0), "of the first"),
        ("z.test DS", ("NOERROR", "", 1), "no parent is here"),
        ("z.test AXFR", ("REFUSED", "", 0), "no transfer"),
        ("elsewhere.test A", ("REFUSED", "", 0), "no zone"),
        ("www.single.test A", ("NOERROR", "10.0.0.1", 0), "one hosted zone alone"),
        ("x.gone.single.test A", ("REFERRAL", "", 0), "its delegation"),
        ("none.single.test A", ("NXDOMAIN", "", 9), "its denial"),
    ],
)
def test_layers(question: str, expected: tuple[str, str, int], why: str) -> None:
    assert Served(FIRST, SECOND).ask(*question.split()) == expected, why


@pytest.mark.parametrize(
    "name", ["none.z.test", "x.gone.z.test", "none.single.test", "gone.single.test", "ent.single.test"]
)
def test_what_falls_through(name: str) -> None:
    """What does not exist, and what is delegated. Nobody is behind the step."""
    served = Served(FIRST, SECOND, fall=("z.test.", "single.test."))
    assert served.ask(name)[0] not in ("NXDOMAIN", "NOERROR", "REFERRAL")
    assert served.ask("www.single.test") == ("NOERROR", "10.0.0.1", 0)
    assert served.ask("www.z.test") == ("NOERROR", "10.0.0.1", 0)


def test_what_is_not_listed_yet() -> None:
    """It might have the name: what is listed already answers only what stands before it."""
    assert Served(None, SECOND).ask("only.z.test") == ("SERVFAIL", "", 0)
    served = Served(FIRST, None, fall=("z.test.",))
    assert served.ask("www.z.test") == ("NOERROR", "10.0.0.1", 0)
    assert served.ask("only.z.test") == ("SERVFAIL", "", 0)
    assert Served(fall=("z.test.",)).ask("www.z.test") == ("SERVFAIL", "", 0)


def test_the_names_of_layers_are_no_zones() -> None:
    """A question cannot name one."""
    served = Served(FIRST, SECOND)
    assert sorted(served.writer.zones()) == sorted(
        [
            wire_name("z.test."),
            wire_name("z.test.") + b"\1",
            wire_name("z.test.") + b"\2",
            wire_name("single.test."),
        ]
    )
    assert served.ask("\\001.z.test") == ("NXDOMAIN", "", 2)


def test_as_many_as_there_may_be() -> None:
    served = Served(*[{f"n{number}": f"10.2.0.{number}"} for number in range(255)])
    assert served.ask("n0.z.test") == ("NOERROR", "10.2.0.0", 0)
    assert served.ask("n254.z.test") == ("NOERROR", "10.2.0.254", 0)
    assert served.ask("none.z.test") == ("NXDOMAIN", "", 255)
