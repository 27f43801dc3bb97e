"""Zones that come and go with the files of a directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.beside import Both, Case
from tests.support import wait_until

COREFILE = """\
test:DNS_PORT {
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:METRICS_PORT
    auto {
        directory zones
        reload 100ms
    }
    chaos
}
"""
ZONE = """\
@ 60 IN SOA ns host SERIAL 7200 1800 86400 60
@ 60 IN NS ns
www 60 IN A 192.0.2.SERIAL
"""


def zone(serial: int) -> str:
    return ZONE.replace("SERIAL", str(serial))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("auto")
    files = {"zones/db.a.test": zone(1), "zones/deep/db.b.test": zone(1), "zones/db.bad.test": "@ 60 IN A odd\n"}
    coredns = COREFILE.replace("prometheus 127.0.0.1:METRICS_PORT\n", "")
    with Both(folder, COREFILE, files, coredns=coredns) as both:
        yield both


def www(name: str, serial: int) -> Case:
    return Case(
        f"www.{name}.test.",
        answer=[f"www.{name}.test. 60 IN A 192.0.2.{serial}"],
        authority=[f"{name}.test. 60 IN NS ns.{name}.test."],
        flags="AA",
    )


def test_the_zones_of_the_directory_are_served(both: Both) -> None:
    both.check(www("a", 1))
    both.check(www("b", 1))
    both.check(Case("nope.a.test.", rcode="NXDOMAIN", authority=None, flags="AA"))
    # A zone that was never read is the next plugin's; here there is none.
    both.check(Case("www.bad.test.", rcode="REFUSED"))
    both.check(Case("www.none.test.", rcode="REFUSED"))
    both.check(Case("a.test.", "AXFR", rcode="REFUSED", tcp=True))


def test_zones_come_change_and_go(both: Both) -> None:
    server, folder = both.fastdns, both.fastdns.folder / "zones"
    server.wait_for_log(f"Inserting zone `a.test.' from: {folder.resolve()}/db.a.test")
    server.wait_for_log("Parse zone `bad.test.': ")
    (folder / "db.c.test").write_text(zone(1))
    both.eventually(www("c", 1))
    replace(folder / "db.c.test", zone(2))
    both.eventually(www("c", 2))
    server.wait_for_log('Successfully reloaded zone "c.test."')
    # Another content with the same serial does not count, and a mistake leaves what is there.
    replace(folder / "db.c.test", zone(2).replace("192.0.2.2", "192.0.2.9"))
    replace(folder / "db.a.test", "@ 60 IN SOA nonsense\n")
    server.wait_for_log("Parse zone `a.test.': ")
    both.eventually(www("a", 1))
    both.eventually(www("c", 2))
    # A file of another directory takes its place.
    (folder / "db.c.test").unlink()
    (folder / "deep/db.c.test").write_text(zone(3))
    both.eventually(www("c", 3))
    (folder / "deep/db.c.test").unlink()
    both.eventually(Case("www.c.test.", rcode="REFUSED"))
    server.wait_for_log("Deleting zone `c.test.'")
    # Once a zone is right it is served.
    replace(folder / "db.bad.test", zone(1))
    both.eventually(www("bad", 1))
    wait_until(lambda: server.total("fastdns_auto_loads_total", result="failed") >= 2)
    wait_until(lambda: server.total("fastdns_auto_loads_total", result="loaded") >= 6)
    # The whole directory is gone: what is served stays.
    folder.rename(folder.with_name("elsewhere"))
    server.wait_for_log("Directory does not exist: ")
    both.eventually(www("b", 1))


def replace(path: Path, text: str) -> None:
    path.with_name(f".{path.name}.new").write_text(text)
    path.with_name(f".{path.name}.new").replace(path)
