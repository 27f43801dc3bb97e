"""A cluster's zone, transferred: what is sent is what questions are answered with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import pytest

from fastdns.plugins.kubernetes.answers._transfer import ClusterTransfer
from fastdns.plugins.transfer._step import TransferStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from fastdns.transports._slow import PARKED, Messages, SlowPath
from tests.authoritative.asking import axfr, ixfr
from tests.authoritative.transferring import CLIENT, read
from tests.plugins.k8s_external.cases import OBJECTS as OUTSIDE
from tests.plugins.k8s_external.support import make_cluster
from tests.plugins.kubernetes.cases import THEMES
from tests.plugins.kubernetes.support import NOW, Cluster, Options, Theme, load_objects, make_answer_options, wire

pytestmark = pytest.mark.native

ZONE = "cluster.local."


class Giving:
    """Gives the zones of a cluster away."""

    def __init__(self, cluster: Cluster, options: Options | None = None, **outside: Any) -> None:
        transfer = ClusterTransfer(make_answer_options(options or cluster.options, 0), **outside)
        table = ServerTable([(".", 0, None)], [[TransferStep([([b"\0"], True, [])], [transfer])]])
        self.slow = SlowPath([Worker(table, cluster.store, 1)])

    def ask(self, query: dns.message.Message) -> object:
        return self.slow.serve(0, query.to_wire(), CLIENT, 5300, lambda _: None)

    def begin(self, query: dns.message.Message) -> Messages:
        reply = self.ask(query)
        assert isinstance(reply, Messages)
        return reply

    def rrsets(self, query: dns.message.Message) -> list[Any]:
        """All records, one in each RRset."""
        return [rrset for message in read(self.begin(query)) for rrset in message.answer]

    def texts(self, query: dns.message.Message) -> list[str]:
        return [rrset.to_text() for rrset in self.rrsets(query)]


def service(name: str, spec: str) -> str:
    return f"---\nkind: Service\nmetadata: {{name: {name}, namespace: prod}}\nspec: {{{spec}}}\n"


def numbered(count: int, prefix: str = "s") -> list[dict[str, Any]]:
    return [
        {
            "kind": "Service",
            "metadata": {"name": f"{prefix}{number}", "namespace": "prod"},
            "spec": {"clusterIP": f"10.96.{number // 250}.{number % 250 + 1}",
                     "clusterIPs": [f"10.96.{number // 250}.{number % 250 + 1}"]},
        }
        for number in range(count)
    ]  # fmt: skip


PROD = load_objects("kind: Namespace\nmetadata: {name: prod}\n")


def test_all_of_a_zone() -> None:
    cluster = Cluster(
        Options(local=["10.244.9.9"]),
        "kind: Namespace\nmetadata: {name: prod}\n"
        + service("web", "clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00::1'], "
                  "ports: [{name: http, protocol: TCP, port: 80}, {port: 443, protocol: TCP}]")
        + service("none", "clusterIP: 10.96.0.2, clusterIPs: [10.96.0.2]")
        + service("ext", "type: ExternalName, externalName: www.example.org")
        + service("db", "clusterIP: None, clusterIPs: [None], ports: [{name: pg, protocol: TCP, port: 5432}]")
        + "---\nkind: EndpointSlice\n"
        "metadata: {name: db-1, namespace: prod, labels: {kubernetes.io/service-name: db}}\n"
        "addressType: IPv4\nendpoints: [{addresses: [10.244.0.1], hostname: db-0}, {addresses: [10.244.0.2]}]\n"
        "ports: [{name: pg, protocol: TCP, port: 5432}, {port: 9, protocol: TCP}]\n"
        + "---\nkind: Service\nmetadata: {name: other, namespace: hidden}\n"
        "spec: {clusterIP: 10.96.0.3, clusterIPs: [10.96.0.3]}\n",
    )  # fmt: skip
    soa = f"cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. {NOW} 7200 1800 86400 5"
    texts = Giving(cluster).texts(axfr(ZONE))
    ns = "ns.dns.cluster.local."
    assert texts[:3] == [soa, f"cluster.local. 5 IN NS {ns}", f"{ns} 5 IN A 10.244.9.9"]
    assert texts[-1] == soa
    assert sorted(text.replace(".prod.svc.cluster.local.", "") for text in texts[3:-1]) == sorted([
        "web 5 IN A 10.96.0.1",
        "web 5 IN AAAA fd00::1",
        "web 5 IN SRV 0 100 80 web",
        "web 5 IN SRV 0 100 443 web",
        "_http._tcp.web 5 IN SRV 0 100 80 web",
        "none 5 IN A 10.96.0.2",
        "ext 5 IN CNAME www.example.org.",
        "db 5 IN A 10.244.0.1",
        "db-0.db 5 IN A 10.244.0.1",
        "_pg._tcp.db 5 IN SRV 0 50 5432 db-0.db",
        "db 5 IN A 10.244.0.2",
        "10-244-0-2.db 5 IN A 10.244.0.2",
        "_pg._tcp.db 5 IN SRV 0 50 5432 10-244-0-2.db",
    ])  # fmt: skip


def forward_zones(options: Options) -> Iterator[str]:
    return (zone for zone in options.zones if not zone.endswith("arpa.") and zone != ".")


def without_weight(rdata: Any) -> str:
    return f"{rdata.port} {rdata.target}" if rdata.rdtype == dns.rdatatype.SRV else str(rdata)


def check_against_answers(cluster: Cluster, rrsets: list[Any]) -> int:
    """Each record is in the answer to its own question. Returns how many they are."""
    answers: dict[tuple[Any, Any], set[str]] = {}
    for rrset in rrsets:
        question = rrset.name, rrset.rdtype
        if question not in answers:
            kind = "A" if rrset.rdtype == dns.rdatatype.CNAME else dns.rdatatype.to_text(rrset.rdtype)
            reply = cluster.ask(str(rrset.name), kind)
            if kind == "A" and rrset.rdtype == dns.rdatatype.CNAME and not reply.answer:
                # A server alone does not know what an alias elsewhere has for addresses.
                reply = cluster.ask(str(rrset.name), "CNAME")
            answers[question] = {
                without_weight(one[0]) for one in reply.answer if one.rdtype == rrset.rdtype
            }  # fmt: skip
        assert without_weight(rrset[0]) in answers[question], rrset.to_text()
    return len(rrsets)


KNOWN = [theme for theme in THEMES if theme.options.unlisted is None]


@pytest.mark.parametrize("theme", KNOWN, ids=lambda theme: theme.name)
def test_what_is_sent_is_what_is_answered(theme: Theme) -> None:
    """In the clusters of all cases; none of their names falls through to another plugin here."""
    cluster = Cluster(theme.options, theme.objects)
    for zone in forward_zones(theme.options):
        rrsets = Giving(cluster).rrsets(axfr(zone))
        assert rrsets[0] == rrsets[-1] and rrsets[0].rdtype == dns.rdatatype.SOA
        check_against_answers(cluster, rrsets)


def test_names_outside() -> None:
    cluster = make_cluster(OUTSIDE)
    given = Giving(
        cluster, outside=[wire("example.org."), wire("in-addr.arpa.")], nameserver=wire("ns1.dns.")[:-1],
        mailbox=wire("hostmaster.dns.")[:-1], headless=True,
    )  # fmt: skip
    rrsets = given.rrsets(axfr("example.org."))
    assert check_against_answers(cluster, rrsets) > 40
    owners = {str(rrset.name) for rrset in rrsets}
    assert {"db-0.db.prod.example.org.", "_pg._tcp.db.prod.example.org.", "lb.prod.example.org."} < owners
    assert not any(".hidden." in owner or owner.startswith("inside.") for owner in owners)
    aliases = {rrset.name for rrset in rrsets if rrset.rdtype == dns.rdatatype.CNAME}
    assert len(aliases) == 3
    assert not any(rrset.name in aliases for rrset in rrsets if rrset.rdtype != dns.rdatatype.CNAME)
    assert isinstance(given.ask(axfr("in-addr.arpa.")), bytes), "a reverse zone"
    plain = Giving(cluster, outside=[wire("example.org.")], nameserver=wire("ns1.dns.")[:-1])
    owners = {str(rrset.name) for rrset in plain.rrsets(axfr("example.org."))}
    assert not any(owner.endswith(".db.prod.example.org.") for owner in owners)


def large(slices: int, endpoints: int) -> list[dict[str, Any]]:
    """A headless Service with many endpoints and two ports."""
    found: list[dict[str, Any]] = [
        {"kind": "Service", "metadata": {"name": "big", "namespace": "prod"},
         "spec": {"clusterIP": "None", "clusterIPs": ["None"]}}
    ]  # fmt: skip
    for one in range(slices):
        found.append(
            {
                "kind": "EndpointSlice",
                "metadata": {"name": f"big-{one}", "namespace": "prod",
                             "labels": {"kubernetes.io/service-name": "big"}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": [f"10.1.{one}.{number + 1}"]} for number in range(endpoints)],
                "ports": [{"name": "a", "port": 1, "protocol": "TCP"}, {"name": "b", "port": 2, "protocol": "UDP"}],
            }
        )  # fmt: skip
    return found


def test_one_service_may_take_many_messages() -> None:
    """Each record is sent once."""
    cluster = Cluster(Options(), PROD + large(20, 100) + numbered(300))
    reply = Giving(cluster).begin(axfr(ZONE))
    texts, sizes = [], []
    while message := reply.next():
        if message is not PARKED:
            assert isinstance(message, bytes)
            sizes.append(len(message))
            found = dns.message.from_wire(message, one_rr_per_rrset=True, xfr=True)
            texts += [rrset.to_text() for rrset in found.answer]
    assert max(sizes) <= 16384 and len(sizes) > 20
    assert len(texts) == 2000 * 4 + 300 + 2
    assert len(set(texts)) == len(texts) - 1


def test_what_changes_meanwhile_does_not_end_it() -> None:
    """Its serial is that of the beginning. Where the store's index is replaced, all Services come once more."""
    cluster = Cluster(Options(), PROD + numbered(500))
    reply = Giving(cluster).begin(axfr(ZONE))
    first = reply.next()
    assert isinstance(first, bytes)
    cluster.block.now = NOW + 9
    cluster.block.list_all(PROD + numbered(500) + numbered(2000, "later"))
    rrsets = [rrset for message in read(reply) for rrset in message.answer]
    owners = {str(rrset.name) for rrset in rrsets}
    assert {f"s{number}.prod.svc.{ZONE}" for number in range(500)} < owners
    assert f"later1999.prod.svc.{ZONE}" in owners
    assert rrsets[-1][0].serial == NOW
    assert Giving(cluster).rrsets(axfr(ZONE))[0][0].serial == NOW + 9


def test_records_of_others_are_passed_over_in_turns() -> None:
    """A message looks at a bounded part of the store's index."""
    other = Options(zones=["other."])
    cluster = Cluster(Options(), PROD + numbered(3000), other=other)
    cluster.block.list_all(PROD)
    giving = Giving(cluster)
    reply = giving.begin(axfr(ZONE))
    turns = []
    while message := reply.next():
        turns.append(message)
    assert message == b""
    assert turns.count(PARKED) > 1
    assert len(turns) - turns.count(PARKED) <= 3


@pytest.mark.parametrize(
    ("serial", "records"),
    [(NOW, 1), (NOW + 1, 1), (NOW - 1, 3), (0, 3), (NOW + 2**31 + 1, 3), (NOW + 2**31 - 1, 1)],
)
def test_ixfr_is_answered_with_all_or_one_record(serial: int, records: int) -> None:
    """As serials are compared (RFC 1982)."""
    cluster = Cluster(Options(), PROD + numbered(1))
    assert len(Giving(cluster).texts(ixfr(ZONE, serial))) == records


def test_a_zone_that_may_change_in_the_same_second_has_the_serial_before() -> None:
    """Else a client that has it would not learn of the second change."""
    cluster = Cluster(Options(), PROD)
    cluster.block.now = int(time.time()) + 5
    cluster.block.upsert(numbered(1)[0])
    assert Giving(cluster).rrsets(axfr(ZONE))[0][0].serial == cluster.block.now - 1


@pytest.mark.parametrize("zone", ["svc.cluster.local.", "10.in-addr.arpa.", "in-addr.arpa.", "local.", "."])
def test_what_is_no_zone_of_its_own(zone: str) -> None:
    reply = Giving(Cluster(Options(), PROD)).ask(axfr(zone))
    assert isinstance(reply, bytes), "it is the next plugin's, and there is none"


def test_a_cluster_that_is_not_known_yet() -> None:
    from fastdns.plugins.kubernetes.sink import Resource

    reply = Giving(Cluster(Options(unlisted=Resource.SERVICE), PROD)).ask(axfr(ZONE))
    assert isinstance(reply, bytes)
    assert dns.message.from_wire(reply).rcode() == dns.rcode.SERVFAIL


def test_services_without_endpoints_are_left_out_where_questions_do_not_find_them() -> None:
    cluster = Cluster(Options(ignore_empty_service=True), PROD + numbered(3))
    assert len(Giving(cluster).texts(axfr(ZONE))) == 2


def test_the_root_zone_and_long_zones() -> None:
    long = ".".join(["z" * 61] * 4) + "."
    cluster = Cluster(Options(zones=[".", long]), PROD + numbered(2))
    assert Giving(cluster).rrsets(axfr("."))[0].name == dns.name.root
    assert isinstance(Giving(cluster).ask(axfr(long)), bytes), "no nameserver has a name there"
