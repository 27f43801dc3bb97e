"""A server that takes zones and their differences from Knot DNS, BIND and NSD, and a catalog from fastdns."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import pytest

from tests.support import Server, free_port, wait_until

ZONE = """\
@ 60 IN SOA ns host SERIAL 3600 3600 86400 60
@ 60 IN NS ns
ns 60 IN A 127.0.0.1
www 60 IN A 192.0.2.SERIAL
"""
# BIND sends no differences that are larger than the zone.
HOSTS = "".join(f"host{number} 60 IN A 192.0.2.{number}\n" for number in range(50))
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
  - id: secondary
    address: 127.0.0.1@{secondary}
acl:
  - id: all
    address: 127.0.0.1
    action: transfer
zone:
  - domain: knotd.test
    storage: "{folder}"
    file: zone.db
    zonefile-load: difference
    journal-content: changes
    notify: secondary
    acl: all
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
    notify explicit;
    notify-delay 0;
    also-notify {{ 127.0.0.1 port {secondary}; }};
    allow-transfer {{ any; }};
    ixfr-from-differences yes;
}};
controls {{ }};
zone "named.test" {{ type primary; file "zone.db"; }};
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
    database: ""
    zonelistfile: "{folder}/zone.list"
    logfile: "{folder}/nsd.log"
    server-count: 1
remote-control:
    control-enable: no
zone:
    name: nsd.test
    zonefile: zone.db
    notify: 127.0.0.1@{secondary} NOKEY
    provide-xfr: 127.0.0.1 NOKEY
    store-ixfr: yes
    create-ixfr: yes
"""
SERVERS = {
    "knotd": (KNOT, ("-c",)),
    "named": (BIND, ("-g", "-c")),
    "nsd": (NSD, ("-d", "-c")),
}
FOUND = {
    name: path
    for name in SERVERS
    if (path := shutil.which(name) or shutil.which(name, path="/usr/sbin")) is not None
}  # fmt: skip
MAIN = """\
{zones} {{
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:METRICS_PORT
    {secondaries}
    transfer {{
        to *
    }}
}}
"""


def zone(serial: int, name: str = "") -> str:
    origin = f"$ORIGIN {name}.test.\n" if name else ""
    return origin + ZONE.replace("SERIAL", str(serial)) + HOSTS


def asked(port: int, name: str, kind: str = "A") -> list[str]:
    """The rcode, or the answer."""
    try:
        reply = dns.query.udp(dns.message.make_query(name, kind), "127.0.0.1", 1, port, one_rr_per_rrset=True)
    except (OSError, dns.exception.Timeout):
        return []
    if reply.rcode():
        return [reply.rcode().name]
    return [str(rrset[0]) for rrset in reply.answer]


def put(folder: Path, text: str) -> None:
    """Replace a zone file as a whole."""
    (folder / "zone.new").write_text(text)
    (folder / "zone.new").replace(folder / "zone.db")


@contextlib.contextmanager
def running(folder: Path, ports: dict[str, int], secondary: int) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """The primaries that are installed, each with a zone of its name."""
    with contextlib.ExitStack() as stack:
        processes = {}
        for name, port in ports.items():
            template, arguments = SERVERS[name]
            here = folder / name
            here.mkdir()
            put(here, zone(1, name))
            (here / "config").write_text(template.format(folder=here, port=port, secondary=secondary))
            log = stack.enter_context((here / "log").open("wb"))
            command = [FOUND[name], *arguments, str(here / "config")]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=here)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            processes[name] = process
        yield processes


@pytest.mark.skipif(not FOUND, reason="there is no other name server")
def test_primaries_are_followed(tmp_path: Path) -> None:
    """SERVFAIL until a zone is there; then by NOTIFY, long before it is due, by differences; and on to others. A
    reload that replaces the watcher transfers nothing."""
    ports = {name: free_port() for name in FOUND}
    text = MAIN.format(
        zones=" ".join(f"{name}.test:DNS_PORT" for name in FOUND),
        # The first primary of each is not there.
        secondaries="\n    ".join(
            f"secondary {name}.test {{\n        transfer from 127.0.0.1:{free_port()} 127.0.0.1:{port}\n    }}"
            for name, port in ports.items()
        ),
    )
    with Server(tmp_path, text, workers=1) as server:

        def serves(serial: int) -> None:
            for name in FOUND:
                wanted = [f"192.0.2.{serial}"]
                wait_until(lambda: asked(server.port, f"www.{name}.test.") == wanted, 20, server.log)  # noqa: B023

        assert "starting server without" not in server.log
        for name in FOUND:
            assert asked(server.port, f"www.{name}.test.") == ["SERVFAIL"]
        with running(tmp_path, ports, server.port) as processes:
            serves(1)
            for name, process in processes.items():
                assert asked(server.port, f"x.{name}.test.") == ["NXDOMAIN"]
                put(tmp_path / name, zone(2, name))
                process.send_signal(signal.SIGHUP)
            serves(2)
            for name in FOUND:
                assert f"Notify from 127.0.0.1 for {name}.test.: checking transfer" in server.log
            counted = "fastdns_secondary_transfers_total"
            wait_until(lambda: server.total(counted, result="changed") == len(FOUND), why=server.log)
            assert server.total(counted, result="transferred") == len(FOUND)
        (tmp_path / "hosts").write_text("192.0.2.9 host.local\n")
        server.write_corefile(text + "local:DNS_PORT {\n    bind 127.0.0.1\n    hosts hosts\n}\n")
        server.reload()
        assert asked(server.port, "host.local.") == ["192.0.2.9"]
        for name in FOUND:
            assert asked(server.port, f"www.{name}.test.") == ["192.0.2.2"], "it is served on"
            answer = dns.query.tcp(dns.message.make_query(f"{name}.test.", "AXFR"), "127.0.0.1", 5, server.port)
            assert sum(len(rrset) for rrset in answer.answer) >= 4
        assert server.log.count("Transferred: ") == 2 * len(FOUND)


CATALOG = """\
@ 60 IN SOA ns host SERIAL 3600 3600 86400 60
@ 60 IN NS invalid.
version 60 IN TXT "2"
"""
PRIMARY = """\
catalog.test:DNS_PORT a.test:DNS_PORT b.test:DNS_PORT other.net:DNS_PORT {
    bind 127.0.0.1
    file catalog.db catalog.test {
        reload 100ms
    }
    file zone.db a.test b.test other.net
    transfer {
        to * 127.0.0.1:SECONDARY
    }
}
"""
FOLLOWING = """\
.:DNS_PORT {
    bind 127.0.0.1
    errors
    secondary catalog.test {
        transfer from 127.0.0.1:PRIMARY
        catalog test
    }
}
"""


def test_zones_come_and_go_with_a_catalog(tmp_path: Path) -> None:
    """Members below the zones that are allowed, and no others."""
    ours, theirs = tmp_path / "secondary", tmp_path / "primary"
    ours.mkdir()
    theirs.mkdir()
    (theirs / "zone.db").write_text(zone(1))

    def list_members(serial: int, members: list[str]) -> None:
        lines = [f"m{number}.zones 60 IN PTR {name}.\n" for number, name in enumerate(members)]
        (theirs / "catalog.new").write_text(CATALOG.replace("SERIAL", str(serial)) + "".join(lines))
        (theirs / "catalog.new").replace(theirs / "catalog.db")

    list_members(1, ["a.test", "other.net"])
    secondary = Server(ours, FOLLOWING, workers=1, wait=False)
    primary = Server(theirs, PRIMARY.replace("SECONDARY", str(secondary.port)), workers=1)
    secondary.write_corefile(FOLLOWING.replace("PRIMARY", str(primary.port)))
    # Both start at a time.
    with secondary, primary:
        wait_until(lambda: asked(secondary.port, "www.a.test.") == ["192.0.2.1"], 20, secondary.log)
        assert asked(secondary.port, "www.b.test.") == ["REFUSED"]
        assert asked(secondary.port, "www.other.net.") == ["REFUSED"]
        secondary.wait_for_log("Skipped 1 member zones from catalog catalog.test.: outside configured member zones")
        list_members(2, ["b.test"])
        wait_until(lambda: asked(secondary.port, "www.b.test.") == ["192.0.2.1"], 20, secondary.log)
        wait_until(lambda: asked(secondary.port, "www.a.test.") == ["REFUSED"], 20, secondary.log)
        secondary.wait_for_log("Removed catalog member zone a.test. from catalog catalog.test.")
