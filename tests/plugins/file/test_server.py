"""Zone files while a server runs: mistakes, changes, files that come and go."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.beside import Both, Case
from tests.support import wait_until

COREFILE = """\
by-serial.test:DNS_PORT by-mtime.test:DNS_PORT late.test:DNS_PORT falls.test:DNS_PORT never.test:DNS_PORT {
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:METRICS_PORT
    file serial.db by-serial.test {
        reload 100ms
    }
    file mtime.db by-mtime.test {
        reload_by_mtime
    }
    file falls.db falls.test {
        fallthrough a.falls.test
    }
    file late.db late.test
    template
}
"""
ZONE = """\
@ 60 IN SOA ns host SERIAL 7200 1800 86400 60
@ 60 IN NS ns
www 60 IN A 192.0.2.NUMBER
deep.ent.a 60 IN A 192.0.2.NUMBER
"""


def zone(serial: int, number: int) -> str:
    return ZONE.replace("SERIAL", str(serial)).replace("NUMBER", str(number))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    files = {"serial.db": zone(1, 1), "mtime.db": zone(1, 1), "falls.db": zone(1, 1)}
    ours = COREFILE.replace("template", "whoami")
    theirs = ours.replace("    prometheus 127.0.0.1:METRICS_PORT\n", "")
    with Both(tmp_path_factory.mktemp("file"), ours, files, coredns=theirs) as both:
        yield both


def www(name: str, number: int) -> Case:
    return Case(
        f"www.{name}.test.",
        answer=[f"www.{name}.test. 60 IN A 192.0.2.{number}"],
        authority=[f"{name}.test. 60 IN NS ns.{name}.test."],
        flags="AA",
    )


def replace(path: Path, text: str) -> None:
    path.with_name(f"{path.name}.new").write_text(text)
    path.with_name(f"{path.name}.new").replace(path)


def test_what_falls_through(both: Both) -> None:
    """Names that do not exist, and empty non-terminals, of the zones that fallthrough names."""
    soa = ["falls.test. 60 IN SOA ns.falls.test. host.falls.test. 1 7200 1800 86400 60"]
    both.check(www("falls", 1))
    both.check(Case("nope.falls.test.", rcode="NXDOMAIN", authority=soa, flags="AA"))
    both.check(Case("nope.a.falls.test.", additional=None, flags="AA", authority=()))
    both.check(Case("ent.a.falls.test.", additional=None, flags="AA", authority=()))
    both.check(Case("deep.ent.a.falls.test.", "TXT", authority=soa, flags="AA", why="no data does not"))
    # No zone of the plugin's.
    both.check(Case("x.never.test.", additional=None, flags="AA"))


def test_a_file_that_comes_later(both: Both) -> None:
    """Until it is there its names get SERVFAIL: neither a denial nor the next plugin may answer."""
    both.fastdns.wait_for_log('plugin/file: Failed to open "open late.db: No such file or directory"')
    both.check(Case("www.late.test.", rcode="SERVFAIL"))
    (both.fastdns.folder / "late.db").write_text(zone(5, 5))
    both.eventually(www("late", 5))


def test_a_serial_that_changes(both: Both) -> None:
    server, file = both.fastdns, both.fastdns.folder / "serial.db"
    both.eventually(www("by-serial", 1))
    replace(file, zone(2, 2))
    both.eventually(www("by-serial", 2))
    server.wait_for_log('Successfully reloaded zone "by-serial.test." in "serial.db" with 2 SOA serial')
    # A content with the same serial does not count: it has been read once the next one is served.
    replace(file, zone(2, 9))
    replace(file, zone(3, 3))
    both.eventually(www("by-serial", 3))


def test_mistakes_leave_what_is_served(both: Both) -> None:
    server, file = both.fastdns, both.fastdns.folder / "serial.db"
    replace(file, zone(7, 7))
    both.eventually(www("by-serial", 7))
    replace(file, "@ 60 IN SOA ns host 8 7200 1800 86400 60\nwww 60 IN A 192.0.2.999\n")
    server.wait_for_log('Parsing zone "by-serial.test.": serial.db:2 - ')
    both.eventually(www("by-serial", 7))
    file.unlink()
    server.wait_for_log('Failed to open zone "by-serial.test." in "serial.db"')
    both.eventually(www("by-serial", 7))
    wait_until(lambda: server.total("fastdns_file_loads_total", result="failed") >= 3)
    replace(file, zone(9, 9) + "x.other. 60 IN A 192.0.2.1\n")
    both.eventually(www("by-serial", 9))
    server.wait_for_log("serial.db:5 - x.other. A: it is not in the zone by-serial.test.; it is left out")
    # What was wrong is said once.
    assert server.log.count("serial.db:2 - ") == 1


def test_a_newer_file(both: Both) -> None:
    """reload_by_mtime: whatever its serial."""
    replace(both.fastdns.folder / "mtime.db", zone(1, 4))
    both.eventually(www("by-mtime", 4))


def test_a_large_zone_changes_under_load(both: Both) -> None:
    """Each answer is of the old version or of the new one, and none is late or lost."""
    server, folder = both.fastdns, both.fastdns.folder
    hosts = 20_000
    wrong: list[str] = []
    done = threading.Event()

    def ask() -> None:
        number = 0
        while not done.is_set():
            number = (number + 7919) % hosts
            try:
                reply = server.query(f"h{number}.by-serial.test.", timeout_s=2)
            except Exception as error:
                wrong.append(repr(error))
                continue
            if reply.rcode() == 0 and str(reply.answer[0][0]) not in ("192.0.2.1", "192.0.2.2"):
                wrong.append(reply.to_text())

    def text(serial: int, number: int) -> str:
        return zone(serial, number) + "".join(f"h{host} 60 IN A 192.0.2.{number}\n" for host in range(hosts))

    replace(folder / "serial.db", text(20, 1))
    both.eventually(www("by-serial", 1))
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for serial in range(21, 25):
            replace(folder / "serial.db", text(serial, 1 + serial % 2))
            both.eventually(www("by-serial", 1 + serial % 2))
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not wrong, wrong[:3]


def checked(folder: Path, corefile: str) -> subprocess.CompletedProcess[str]:
    (folder / "Corefile").write_text(corefile)
    command = [sys.executable, "-m", "fastdns.cli", "check", "-conf", "Corefile"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_check_reads_zone_files(tmp_path: Path) -> None:
    """All mistakes, each with its place; what is left out, and what is missing."""
    (tmp_path / "good.db").write_text(zone(1, 1) + "x.other. 60 IN A 192.0.2.1\n")
    (tmp_path / "bad.db").write_text(zone(1, 1) + "\nx 60 IN A nonsense\n")
    corefile = "a.test {\n    file good.db\n    file missing.db b.test\n}\nc.test {\n    file bad.db\n}\n"
    said = checked(tmp_path, corefile)
    assert said.returncode == 1
    assert "plugin/file: Corefile:6 - bad.db:6 - " in said.stderr + said.stdout
    said = checked(tmp_path, corefile.replace("bad.db", "good.db"))
    assert said.returncode == 0
    assert "good.db:5 - x.other. A: it is not in the zone a.test.; it is left out" in said.stdout
    assert 'Failed to open "open missing.db: No such file or directory": trying again in 60s' in said.stdout
    said = checked(tmp_path, "b.test {\n    file missing.db {\n        reload 0\n    }\n}\n")
    assert said.returncode == 1
    assert "plugin/file: Corefile:2 - open missing.db: No such file or directory" in said.stderr + said.stdout
