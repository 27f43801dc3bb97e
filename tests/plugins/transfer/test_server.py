"""A server that gives its zones away: answers beside CoreDNS, and Knot DNS, BIND and NSD as secondaries."""

from __future__ import annotations

import re
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

from tests.authoritative.asking import axfr, ixfr
from tests.plugins.beside import Both, Case
from tests.plugins.transfer.taking import take
from tests.plugins.tsig.messages import NAME, SECRET_TEXT, key
from tests.support import Server, free_port, wait_until

PRIMARY = "127.0.0.1"
COREFILE = f"""\
keyed.test:DNS_PORT {{
    bind 127.0.0.1
    tsig {{
        secret {NAME} {SECRET_TEXT}
        require all
    }}
    file large.db keyed.test
    transfer {{
        to *
    }}
}}
given.test:DNS_PORT large.test:DNS_PORT kept.test:DNS_PORT slow.test:DNS_PORT plain.test:DNS_PORT {{
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:METRICS_PORT
    file given.db given.test
    file large.db large.test
    file given.db kept.test
    file given.db plain.test
    file slow.db slow.test
    transfer given.test large.test slow.test {{
        to *
    }}
    transfer kept.test {{
        to 127.0.0.9
    }}
}}
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
    # More than the kernel keeps for a client that does not read: 4 MiB at most.
    text = " ".join([f'"{"x" * 250}"'] * 4)
    slow = zone(1) + "".join(f"host{number} 60 IN TXT {text}\n" for number in range(6000))
    files = {"given.db": zone(1), "large.db": large, "slow.db": slow}
    # CoreDNS counts no transfers.
    theirs = COREFILE.replace("    prometheus 127.0.0.1:METRICS_PORT\n", "")
    with Both(tmp_path_factory.mktemp("transfer"), COREFILE, files, coredns=theirs) as both:
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


def failed(both: Both, reason: str) -> float:
    return both.fastdns.total("fastdns_transfer_failed_total", reason=reason)


def given(both: Both, kind: str) -> float:
    return both.fastdns.total("fastdns_transfer_given_total", kind=kind)


def test_what_is_refused_is_said_once_and_counted(both: Both) -> None:
    """Over TCP with the client and the reason. Over UDP anybody can say that it is somebody else: it is counted."""
    before = failed(both, "not_allowed"), failed(both, "udp")
    for _ in range(3):
        assert take(both.fastdns.port, axfr("kept.test."), source="127.0.0.8").rcode == dns.rcode.REFUSED
    both.check(CASES[0])
    said = 'Outgoing transfer of zone "kept.test." to 127.0.0.8 refused: the client is not named by to'
    both.fastdns.wait_for_log(said)
    assert both.fastdns.log.count(said) == 1
    assert (failed(both, "not_allowed"), failed(both, "udp")) == (before[0] + 3, before[1] + 1)


def test_what_is_given_is_counted(both: Both) -> None:
    before = [given(both, kind) for kind in ("axfr", "current")]
    assert take(both.fastdns.port, axfr("given.test.")).whole
    assert take(both.fastdns.port, ixfr("given.test.", 1), single=True).whole
    both.fastdns.wait_for_log('up to date zone "given.test." to 127.0.0.1 for 1 SOA serial')
    assert [given(both, kind) for kind in ("axfr", "current")] == [one + 1 for one in before]


def test_what_is_cut_off_is_said_and_counted(both: Both) -> None:
    """tests/authoritative has the other reasons."""
    import socket

    before = failed(both, "closed")
    query = axfr("slow.test.").to_wire()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", both.fastdns.port))
        slow.sendall(len(query).to_bytes(2, "big") + query)
        slow.recv(100)
    cut = r'zone "slow.test." to 127.0.0.1 cut off after \d+ records: the client has closed the connection'
    wait_until(lambda: re.search(cut, both.fastdns.log), 20)
    assert failed(both, "closed") == before + 1


def test_each_message_is_signed(both: Both) -> None:
    """dnspython, and clients that are there, verify them. CoreDNS signs them, too."""
    for port in [both.fastdns.port] + ([both.coredns.port] if both.coredns is not None else []):
        query = axfr("keyed.test.")
        query.use_tsig(key(), NAME)
        taken = take(port, query)
        assert taken.whole and len(taken.rrsets) == 8008
    assert take(both.fastdns.port, axfr("keyed.test.")).rcode == dns.rcode.REFUSED


@pytest.mark.parametrize("client", ["kdig", "dig"])
def test_clients_verify_the_signatures(both: Both, client: str) -> None:
    path = shutil.which(client)
    if path is None:
        pytest.skip(f"there is no {client}")
    command = [path, "@127.0.0.1", "-p", str(both.fastdns.port), "-y", f"hmac-sha256:{NAME}:{SECRET_TEXT}",
               "+tcp", "keyed.test.", "AXFR"]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert run.returncode == 0
    assert run.stdout.count("IN\tA\t192.0.2.1\n") == 8001
    said = (run.stdout + run.stderr).splitlines()
    assert not [line for line in said if "TSIG" in line.upper() and "rror" in line]


# ------------------------------------------------------------------------------------- other servers as secondaries

NOTIFYING = f"""\
example.test:DNS_PORT signed.test:DNS_PORT {{
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:METRICS_PORT
    tsig signed.test {{
        secret {NAME} {SECRET_TEXT}
        require all
    }}
    file zone.db example.test {{
        reload 20ms
    }}
    file signed.db signed.test {{
        reload 20ms
    }}
    transfer {{
        to 127.0.0.1:SECONDARY
    }}
}}
"""
# A secondary is asked at {port}, and has its zones from {primary}.
KNOT = f"""\
server:
    rundir: "{{folder}}"
    listen: 127.0.0.1@{{port}}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{{folder}}"
key:
  - id: {NAME}
    algorithm: hmac-sha256
    secret: {SECRET_TEXT}
remote:
  - id: primary
    address: 127.0.0.1@{{primary}}
  - id: keyed
    address: 127.0.0.1@{{primary}}
    key: {NAME}
acl:
  - id: notify
    address: 127.0.0.1
    action: notify
template:
  - id: default
    storage: "{{folder}}"
zone:
  - domain: example.test
    master: primary
    acl: notify
  - domain: signed.test
    master: keyed
    acl: notify
"""
BIND = f"""\
key "{NAME}" {{{{ algorithm hmac-sha256; secret "{SECRET_TEXT}"; }}}};
options {{{{
    directory "{{folder}}";
    listen-on port {{port}} {{{{ 127.0.0.1; }}}};
    listen-on-v6 {{{{ none; }}}};
    pid-file none;
    session-keyfile none;
    recursion no;
    dnssec-validation no;
    ixfr-from-differences no;
    serial-query-rate 1000;
}}}};
controls {{{{ }}}};
zone "example.test" {{{{
    type secondary; primaries port {{primary}} {{{{ 127.0.0.1; }}}}; allow-notify {{{{ 127.0.0.1; }}}};
}}}};
zone "signed.test" {{{{
    type secondary; primaries port {{primary}} {{{{ 127.0.0.1 key "{NAME}"; }}}}; allow-notify {{{{ 127.0.0.1; }}}};
}}}};
"""
NSD = f"""\
server:
    ip-address: 127.0.0.1@{{port}}
    username: ""
    chroot: ""
    zonesdir: "{{folder}}"
    pidfile: "{{folder}}/nsd.pid"
    xfrdfile: "{{folder}}/xfrd.state"
    xfrdir: "{{folder}}"
    database: ""
    zonelistfile: "{{folder}}/zone.list"
    logfile: "{{folder}}/nsd.log"
    server-count: 1
    xfrd-reload-timeout: 0
    verbosity: 2
remote-control:
    control-enable: no
key:
    name: {NAME}
    algorithm: hmac-sha256
    secret: "{SECRET_TEXT}"
zone:
    name: example.test
    allow-notify: 127.0.0.1 NOKEY
    request-xfr: 127.0.0.1@{{primary}} NOKEY
zone:
    name: signed.test
    allow-notify: 127.0.0.1 NOKEY
    request-xfr: 127.0.0.1@{{primary}} {NAME}
"""
SERVERS = {
    "knotd": (KNOT, lambda path, config: [path, "-c", config]),
    "named": (BIND, lambda path, config: [path, "-g", "-c", config]),
    "nsd": (NSD, lambda path, config: [path, "-d", "-c", config]),
}
# Each is followed by what has changed alone.
CHANGES = 20
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
    for serial in range(2, 2 + CHANGES):
        new = server.folder / "zone.new"
        new.write_text(zone(serial))
        new.replace(server.folder / "zone.db")
        wait_until(lambda: asked(secondary, "www.example.test.", "A") == {f"192.0.2.{serial}"}, 20, why())  # noqa: B023
    assert asked(secondary, "x.wild.example.test.", "TXT") == {'"a wildcard"'}
    assert 'Outgoing transfer of 8 records of zone "example.test."' in server.log
    # SOA 3, SOA 2, what was removed, SOA 3, what was added, SOA 3.
    # The last of them is logged when all of it has left.
    wait_until(
        lambda: server.log.count('Outgoing transfer of 6 records of zone "example.test."') == CHANGES, 20, why()
    )
    assert server.total("fastdns_transfer_given_total", kind="ixfr", zone="example.test.") == CHANGES
    assert server.total("fastdns_transfer_given_total", kind="axfr", zone="signed.test.") == 1
