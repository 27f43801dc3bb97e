"""A server that takes zones from primaries: Knot DNS, BIND, NSD, and itself with a catalog."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import pytest

from tests.support import Server, free_port, wait_until

ZONE = """\
@ 60 IN SOA ns host SERIAL REFRESH 3600 86400 60
@ 60 IN NS ns
ns 60 IN A 127.0.0.1
www 60 IN A 192.0.2.SERIAL
"""
COREFILE = """\
example.test:DNS_PORT {
    bind 127.0.0.1
    errors
    secondary {
        transfer from 127.0.0.1:FIRST 127.0.0.1:PRIMARY
    }
    transfer {
        to *
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
  - id: secondary
    address: 127.0.0.1@{secondary}
acl:
  - id: all
    address: 127.0.0.1
    action: transfer
zone:
  - domain: example.test
    storage: "{folder}"
    file: zone.db
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
}};
controls {{ }};
zone "example.test" {{ type primary; file "zone.db"; }};
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
remote-control:
    control-enable: no
zone:
    name: example.test
    zonefile: zone.db
    notify: 127.0.0.1@{secondary} NOKEY
    provide-xfr: 127.0.0.1 NOKEY
"""
SERVERS = {
    "knotd": (KNOT, lambda path, config: [path, "-c", config]),
    "named": (BIND, lambda path, config: [path, "-g", "-c", config]),
    "nsd": (NSD, lambda path, config: [path, "-d", "-c", config]),
}


def zone(serial: int, refresh: int = 3600) -> str:
    return ZONE.replace("SERIAL", str(serial)).replace("REFRESH", str(refresh))


def asked(port: int, name: str, kind: str = "A") -> list[str]:
    """The rcode, or the answer."""
    try:
        reply = dns.query.udp(dns.message.make_query(name, kind), "127.0.0.1", 1, port, one_rr_per_rrset=True)
    except (OSError, dns.exception.Timeout):
        return []
    if reply.rcode():
        return [reply.rcode().name]
    return [str(rrset[0]) for rrset in reply.answer]


@pytest.mark.parametrize("name", SERVERS)
def test_a_primary_is_followed(name: str, tmp_path: Path) -> None:
    """SERVFAIL until it is there; then by NOTIFY, long before the zone is due; the zone goes on to others."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        pytest.skip(f"there is no {name}")
    template, command = SERVERS[name]
    primary, nobody = free_port(), free_port()
    folder = tmp_path / "primary"
    folder.mkdir()
    (folder / "zone.db").write_text(f"$ORIGIN example.test.\n{zone(1)}")
    text = COREFILE.replace("PRIMARY", str(primary)).replace("FIRST", str(nobody))
    with Server(tmp_path, text, workers=1) as server:
        assert asked(server.port, "www.example.test.") == ["SERVFAIL"]
        server.wait_for_log("All 'example.test.' masters failed to transfer, retrying in 0.25s")
        config = folder / "config"
        config.write_text(template.format(folder=folder, port=primary, secondary=server.port))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command(path, str(config)), stdout=log, stderr=log, cwd=folder)
        try:
            wait_until(lambda: asked(server.port, "www.example.test.") == ["192.0.2.1"], 20, server.log)
            assert asked(server.port, "x.example.test.") == ["NXDOMAIN"]
            (folder / "zone.new").write_text(f"$ORIGIN example.test.\n{zone(2)}")
            (folder / "zone.new").replace(folder / "zone.db")
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: asked(server.port, "www.example.test.") == ["192.0.2.2"], 20, server.log)
            assert "Notify from 127.0.0.1 for example.test.: checking transfer" in server.log
        finally:
            process.terminate()
            process.wait(20)
        answer = dns.query.tcp(dns.message.make_query("example.test.", "AXFR"), "127.0.0.1", 5, server.port)
        assert sum(len(rrset) for rrset in answer.answer) >= 4
        assert asked(server.port, "www.example.test.") == ["192.0.2.2"], "it is served on"


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
    secondary = Server(ours, FOLLOWING, workers=1)
    primary = Server(theirs, PRIMARY.replace("SECONDARY", str(secondary.port)), workers=1)
    secondary.write_corefile(FOLLOWING.replace("PRIMARY", str(primary.port)))
    with primary, secondary:
        wait_until(lambda: asked(secondary.port, "www.a.test.") == ["192.0.2.1"], 20, secondary.log)
        assert asked(secondary.port, "www.b.test.") == ["REFUSED"]
        assert asked(secondary.port, "www.other.net.") == ["REFUSED"]
        secondary.wait_for_log("Skipped 1 member zones from catalog catalog.test.: outside configured member zones")
        list_members(2, ["b.test"])
        wait_until(lambda: asked(secondary.port, "www.b.test.") == ["192.0.2.1"], 20, secondary.log)
        wait_until(lambda: asked(secondary.port, "www.a.test.") == ["REFUSED"], 20, secondary.log)
        secondary.wait_for_log("Removed catalog member zone a.test. from catalog catalog.test.")
