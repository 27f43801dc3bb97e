"""A server that gives its zones away: answers beside CoreDNS, and Knot DNS, BIND and NSD as secondaries."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.xfr
import dns.zone
import pytest

from tests.plugins.beside import Both, Case
from tests.support import Server, free_port, wait_until

PRIMARY = "127.0.0.1"
COREFILE = """\
given.test:DNS_PORT large.test:DNS_PORT kept.test:DNS_PORT broken.test:DNS_PORT plain.test:DNS_PORT {
    bind 127.0.0.1
    errors
    file given.db given.test
    file large.db large.test
    file given.db kept.test
    file given.db plain.test
    transfer given.test large.test broken.test {
        to *
    }
    transfer kept.test {
        to 127.0.0.9
    }
}
"""
ZONE = """\
@ 60 IN SOA ns host SERIAL 2 2 86400 60
@ 60 IN NS ns
ns 60 IN A 127.0.0.1
www 60 IN A 192.0.2.SERIAL
*.wild 60 IN TXT "a wildcard"
sub 60 IN NS ns.sub
ns.sub 60 IN A 192.0.2.99
"""


def zone(serial: int) -> str:
    return ZONE.replace("SERIAL", str(serial))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    large = zone(1) + "".join(f"host{number} 60 IN A 192.0.2.1\n" for number in range(8000))
    with Both(tmp_path_factory.mktemp("transfer"), COREFILE, {"given.db": zone(1), "large.db": large}) as both:
        yield both


CASES = [
    Case("given.test.", "AXFR", rcode="REFUSED", why="over UDP"),
    Case("given.test.", "IXFR", rcode="REFUSED", why="over UDP"),
    Case("plain.test.", "AXFR", rcode="REFUSED", tcp=True, why="no transfer names the zone"),
    Case("kept.test.", "AXFR", rcode="REFUSED", tcp=True, why="another client may have it"),
    Case("given.test.", "IXFR", rcode="SERVFAIL", tcp=True, why="no SOA record in the authority section"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.qname} {case.why}")
def test_what_is_refused(both: Both, case: Case) -> None:
    both.check(case)


def taken(port: int, origin: str, source: str = "127.0.0.1") -> dns.zone.Zone:
    """A zone, transferred by dnspython."""
    found = dns.zone.Zone(origin, relativize=False)
    dns.query.inbound_xfr("127.0.0.1", found, port=port, timeout=10, source=source)
    return found


def records(found: dns.zone.Zone) -> set[str]:
    return {
        f"{name} {ttl_s} {dns.rdatatype.to_text(rdata.rdtype)} {rdata}"
        for name, ttl_s, rdata in found.iterate_rdatas()
    }


def test_what_is_given(both: Both) -> None:
    """The same records as CoreDNS gives; to the client that may have them; a large zone, whole."""
    for origin, source, count in (("given.test.", "127.0.0.1", 7), ("kept.test.", "127.0.0.9", 7),
                                  ("large.test.", "127.0.0.1", 8007)):  # fmt: skip
        ours = records(taken(both.fastdns.port, origin, source))
        assert len(ours) == count
        if both.coredns is not None:
            assert records(taken(both.coredns.port, origin, source)) == ours
    both.fastdns.wait_for_log('transfer of 8008 records of zone "large.test." to 127.0.0.1 for 1 SOA serial')


def test_a_client_that_does_not_read_holds_up_nobody(both: Both) -> None:
    """Others ask, and transfer, meanwhile; it gets the rest when it reads on."""
    import socket

    query = dns.message.make_query("large.test.", "AXFR").to_wire()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", both.fastdns.port))
        slow.settimeout(10)
        slow.sendall(len(query).to_bytes(2, "big") + query)
        for _ in range(3):
            both.check(Case("ns.sub.given.test.", "SOA", authority=None, additional=None, tcp=True))
            assert len(records(taken(both.fastdns.port, "large.test."))) == 8007
        stream = slow.makefile("rb")
        soas = messages = 0
        while soas < 2:
            size = int.from_bytes(stream.read(2), "big")
            assert size, "it has not been cut off"
            message = dns.message.from_wire(stream.read(size), one_rr_per_rrset=True, xfr=True)
            soas += sum(rrset.rdtype == dns.rdatatype.SOA for rrset in message.answer)
            messages += 1
        assert messages > 8


# ------------------------------------------------------------------------------------- other servers as secondaries

NOTIFYING = """\
example.test:DNS_PORT signed.test:DNS_PORT {
    bind 127.0.0.1
    errors
    file zone.db example.test {
        reload 100ms
    }
    file signed.db signed.test {
        reload 100ms
    }
    transfer {
        to 127.0.0.1:SECONDARY
    }
}
"""
KNOT = """\
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{folder}"
remote:
  - id: primary
    address: 127.0.0.1@{primary}
acl:
  - id: notify
    address: 127.0.0.1
    action: notify
template:
  - id: default
    storage: "{folder}"
zone:
  - domain: example.test
    master: primary
    acl: notify
  - domain: signed.test
    master: primary
    acl: notify
"""
BIND = """\
options {{
    directory "{folder}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    recursion no;
    dnssec-validation no;
    ixfr-from-differences no;
}};
controls {{ }};
zone "example.test" {{ type secondary; primaries port {primary} {{ 127.0.0.1; }}; allow-notify {{ 127.0.0.1; }}; }};
zone "signed.test" {{ type secondary; primaries port {primary} {{ 127.0.0.1; }}; allow-notify {{ 127.0.0.1; }}; }};
"""
NSD = """\
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd.state"
    xfrdir: "{folder}"
    zonelistfile: "{folder}/zone.list"
    logfile: "{folder}/nsd.log"
    server-count: 1
    verbosity: 2
remote-control:
    control-enable: no
zone:
    name: example.test
    allow-notify: 127.0.0.1 NOKEY
    request-xfr: 127.0.0.1@{primary} NOKEY
zone:
    name: signed.test
    allow-notify: 127.0.0.1 NOKEY
    request-xfr: 127.0.0.1@{primary} NOKEY
"""
SERVERS = {
    "knotd": (KNOT, lambda path, config: [path, "-c", config]),
    "named": (BIND, lambda path, config: [path, "-g", "-c", config]),
    "nsd": (NSD, lambda path, config: [path, "-d", "-c", config]),
}
SIGNED = zone(1) + (
    "@ 60 IN NSEC3PARAM 1 0 0 -\n"
    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 60 IN NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG\n"
)


def asked(port: int, name: str, kind: str) -> set[str]:
    try:
        reply = dns.query.udp(dns.message.make_query(name, kind), "127.0.0.1", 1, port, one_rr_per_rrset=True)
    except (OSError, dns.exception.Timeout):
        return set()
    return {str(rrset[0]) for rrset in reply.answer}


@pytest.mark.parametrize("name", SERVERS)
def test_a_secondary_follows(name: str, tmp_path: Path) -> None:
    """It takes the zones when it starts. When one changes it is told, and asks for what has changed."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        pytest.skip(f"there is no {name}")
    template, command = SERVERS[name]
    secondary = free_port()
    (tmp_path / "zone.db").write_text(zone(1))
    (tmp_path / "signed.db").write_text(SIGNED)
    folder = tmp_path / "secondary"
    folder.mkdir()
    with Server(tmp_path, NOTIFYING.replace("SECONDARY", str(secondary)), workers=1) as server:
        config = folder / "config"
        config.write_text(template.format(folder=folder, port=secondary, primary=server.port))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command(path, str(config)), stdout=log, stderr=log, cwd=folder)
        try:
            follow(server, secondary, lambda: (folder / "log").read_text() + server.log)
        finally:
            process.terminate()
            process.wait(20)


def follow(server: Server, secondary: int, why: Callable[[], str]) -> None:
    wait_until(lambda: asked(secondary, "www.example.test.", "A") == {"192.0.2.1"}, 20, "the first transfer")
    wait_until(lambda: asked(secondary, "signed.test.", "NSEC3PARAM"), 20, "the signed zone")
    for serial in (2, 3):
        new = server.folder / "zone.new"
        new.write_text(zone(serial))
        new.replace(server.folder / "zone.db")
        wait_until(lambda: asked(secondary, "www.example.test.", "A") == {f"192.0.2.{serial}"}, 20, why())  # noqa: B023
    assert asked(secondary, "x.wild.example.test.", "TXT") == {'"a wildcard"'}
    assert 'Outgoing transfer of 8 records of zone "example.test."' in server.log
    # SOA 3, SOA 2, what was removed, SOA 3, what was added, SOA 3.
    assert 'Outgoing transfer of 6 records of zone "example.test."' in server.log, why()
