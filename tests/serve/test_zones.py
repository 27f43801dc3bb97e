"""Which block a question belongs to: by name, then by the blocks' filters in the order of the Corefile."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import dns.message
import dns.rdatatype
import pytest

from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from fastdns.transports._slow import SlowPath
from tests.serve import choosing as plugins
from tests.serve._choosing import ChoosingFilter, SayStep
from tests.serve.served import Served, packed, said

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("choosing")]

COREFILE = """
a.org {
    choose lan {
        client 192.0.2.0/26
    }
    prometheus
    say lan
}
a.org {
    choose six {
        client 2001:db8::/33
    }
    prometheus
    say six
}
org {
    choose below {
        below b.a.org
    }
    prometheus
    say below
}
a.org {
    choose mail {
        type MX
        protocol tcp
    }
    prometheus
    say mail
}
org {
    prometheus
    say org
}
. {
    choose root {
        client 0.0.0.0/0
    }
    say root
}
"""


@dataclass(frozen=True)
class Case:
    name: str
    says: str
    why: str
    how: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case("a.org.", "lan", "the first block whose filter takes it"),
    Case("x.a.org.", "lan", "the last address of a network", {"client": "192.0.2.63"}),
    Case("x.a.org.", "org", "no block of the zone takes it, and a shorter one does", {"client": "192.0.2.64"}),
    Case("x.a.org.", "six", "the second block", {"client": "2001:db8:7fff::1"}),
    Case("x.a.org.", "org", "an address behind the network", {"client": "2001:db8:8000::1"}),
    Case("x.b.a.org.", "lan", "a longer zone comes first, whatever filters shorter ones have"),
    Case("x.b.a.org.", "below", "by name, in a shorter zone", {"client": "203.0.113.1"}),
    Case("xb.a.org.", "org", "a name that only ends alike", {"client": "203.0.113.1"}),
    Case("a.org.", "mail", "by type and protocol", {"client": "203.0.113.1", "kind": "MX", "tcp": True}),
    Case("a.org.", "org", "the protocol is another", {"client": "203.0.113.1", "kind": "MX"}),
    Case("a.org.", "org", "the type is another", {"client": "203.0.113.1", "tcp": True}),
    Case("net.", "root", "the root's filter"),
    Case("net.", "REFUSED", "nobody takes it", {"client": "2001:db8::1"}),
    Case("a.org.", "org", "DS goes to the parent's side", {"kind": "DS"}),
    Case("x.b.a.org.", "below", "DS: of the parent's blocks the first that takes it", {"kind": "DS"}),
    Case("com.", "root", "DS of a zone that only the root has", {"kind": "DS"}),
    Case("a.org.", "org", "DS over IPv6, which the root's filter refuses", {"kind": "DS", "client": "2001:db8::1"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_which_block_answers(case: Case) -> None:
    assert Served(COREFILE).ask(case.name, **case.how) == case.says


def test_an_earlier_block_that_takes_all() -> None:
    """As in CoreDNS it shadows the later ones; loading such a Corefile warns."""
    served = Served("org {\nsay all\n}\norg {\nchoose never\nsay view\n}\n")
    assert served.ask("a.org.") == "all"
    assert served.config.warnings == (
        "Corefile:4: no query for org. reaches this block: the block at Corefile:1 takes all of them; blocks with "
        "a view must stand before it",
    )


@pytest.mark.parametrize(("at", "says"), [("127.0.0.1", "here"), ("127.0.0.2", "rest"), ("", "rest")])
def test_the_address_that_a_message_came_to(at: str, says: str) -> None:
    served = Served(". {\nchoose here {\nserver 127.0.0.1\n}\nsay here\n}\n. {\nsay rest\n}\n")
    assert served.ask("a.org.", local=at) == says
    six = Served(". {\nchoose here {\nserver ::1\n}\nsay here\n}\n. {\nsay rest\n}\n")
    assert six.ask("a.org.", local="::1") == "here"
    assert six.ask("a.org.", local=at) == "rest"


def test_the_address_that_a_listener_is_bound_to() -> None:
    corefile = ". {\nbind 127.0.0.1\nchoose here {\nserver 127.0.0.1\n}\nsay here\n}\n"
    assert Served(corefile).ask("a.org.") == "here"


def test_by_class() -> None:
    """Other classes than IN reach blocks only where a listener has a plugin that wants them."""
    corefile = ". {\nchoose chaos {\nclass CH\n}\nsay chaos\n}\n. {\nsay rest\n}\n"
    served = Served(corefile)
    assert served.ask("a.org.", class_="CH") == "chaos"
    assert served.ask("a.org.") == "rest"


def test_each_view_is_counted_apart() -> None:
    served = Served(COREFILE)
    served.ask("a.org.")
    served.ask("a.org.")
    served.ask("a.org.", client="2001:db8::1")
    served.ask("a.org.", client="203.0.113.1")
    served.ask("net.")
    served.ask("net.", client="2001:db8::1")
    server = "dns://:53"
    assert served.counted() == {
        (server, "dropped", ""): 1,
        (server, "a.org.", "lan"): 2,
        (server, "a.org.", "six"): 1,
        (server, "org.", ""): 1,
    }


def test_a_question_inside_a_query_is_chosen_for_with_its_client() -> None:
    corefile = (
        "in.org {\nask other.net\n}\n"
        "net {\nchoose lan {\nclient 192.0.2.0/24\n}\nsay lan\n}\n"
        "net {\nchoose texts {\ntype TXT\n}\nsay rest\n}\n"
    )
    served = Served(corefile)
    assert served.ask("in.org.", "A") == "lan"
    assert served.ask("in.org.", "A", client="203.0.113.1") == "rest", "and by the question's own type"


@pytest.mark.parametrize(("local", "says"), [("127.0.0.1", "here"), ("127.0.0.2", "rest")])
def test_a_step_in_python_asks_with_the_address_that_its_client_asked(local: str, says: str) -> None:
    served = Served(". {\nchoose here {\nserver 127.0.0.1\n}\nsay here\n}\n. {\nsay rest\n}\n")
    query = dns.message.make_query("a.org.", "TXT").to_wire()
    ask = served.slow.ask
    reply = ask(0, query, packed("192.0.2.1"), 1, lambda _: None, transport=1, depth=1, local=packed(local))
    assert said(reply) == says


def test_a_resumed_query_stays_in_its_block() -> None:
    corefile = (
        "org {\nchoose changing {\nvalue facts/which one\n}\ngather\nfacts {\nwhich one\n}\n"
        "prometheus\nwait\nsay first\n}\n"
        "org {\nprometheus\nsay second\n}\n"
    )
    served = Served(corefile)
    assert plugins.wait.room is not None
    served = Served(corefile, [plugins.wait.room])
    assert served.ask("a.org.") == "nothing" and not served.late
    looked = plugins.choose.made[0].looked
    plugins.facts.made[0, "facts/which"].say(b"two")
    assert plugins.wait.room.let_go() == 1
    assert served.late == ["first"], "whatever its filter would say now"
    assert plugins.choose.made[0].looked == looked, "it is not asked again"
    assert served.ask("a.org.") == "second", "the next query goes where the filter says"
    assert served.counted() == {("dns://:53", "org.", "changing"): 1, ("dns://:53", "org.", ""): 1}


def test_a_table_by_hand() -> None:
    """A filter that is given by the number of its block."""
    blocks = [[SayStep(b"one")], [SayStep(b"two")]]
    table = ServerTable([("org.", 0, None), ("org.", 1, None)], blocks, filters={0: ChoosingFilter(qtype=1)})
    slow = SlowPath([Worker(table)])
    for kind, says in (("A", "one"), ("TXT", "two")):
        query = dns.message.make_query("a.org.", kind).to_wire()
        assert said(slow.serve(0, query, packed("192.0.2.1"), 1, lambda _: None)) == says


def test_many_zones_are_chosen_as_few_are() -> None:
    """Many are found by a hash of the name, few one by one: both are compared with the rule itself."""
    randomness = random.Random(20261129)
    labels = ["a", "b", "c", "ab", "x" * 40]

    def name(most: int) -> str:
        return ".".join(randomness.choice(labels) for _ in range(randomness.randrange(most + 1))) + "."

    for _ in range(20):
        zones = [name(4) for _ in range(randomness.choice([5, 47, 48, 49, 300]))]
        # Of some zones the second block only is for TXT, and of some all are for DS.
        filters = {
            index: ChoosingFilter(qtype=randomness.choice([16, 43])) for index in range(len(zones))
            if randomness.random() < 0.5
        }  # fmt: skip
        blocks = [[SayStep(str(index).encode())] for index in range(len(zones))]
        table = ServerTable([(zone, index, None) for index, zone in enumerate(zones)], blocks, filters=filters)
        slow = SlowPath([Worker(table)])
        wanted = {index: chosen.qtype for index, chosen in filters.items()}
        for _ in range(100):
            asked, kind = name(6), randomness.choice(["TXT", "DS", "A"])
            query = dns.message.make_query(asked.upper(), kind)
            found = expected(zones, wanted, asked, int(query.question[0].rdtype))
            says = said(slow.serve(0, query.to_wire(), packed("192.0.2.1"), 1, lambda _: None))
            assert says == ("REFUSED" if found is None else str(found)), (zones, asked, kind)


def expected(zones: list[str], wanted: dict[int, int], asked: str, qtype: int) -> int | None:
    """The number of the block: the rule, word by word."""
    suffixes = [asked]
    while suffixes[-1] != ".":
        suffixes.append(suffixes[-1].partition(".")[2] or ".")
    taking = []
    for suffix in suffixes:
        blocks = [index for index, zone in enumerate(zones) if zone == suffix]
        taking += [index for index in blocks if wanted.get(index, qtype) == qtype][:1]
    if qtype == dns.rdatatype.DS and taking:
        below_root = [index for index in taking if zones[index] != "."]
        return (below_root or taking)[-1]
    return taking[0] if taking else None


@pytest.mark.parametrize("address", [b"\0", b"\0" * 5, b"\0" * 17])
def test_an_address_has_4_or_16_bytes(address: bytes) -> None:
    with pytest.raises(ValueError, match="4 or 16 bytes"):
        ServerTable([], [], address=address)


def test_a_zone_with_escapes_in_its_name() -> None:
    """Its dots were taken for ends of labels."""
    assert Served("a\\.b.org {\nsay it\n}\n").ask("a\\.b.org.") == "it"
