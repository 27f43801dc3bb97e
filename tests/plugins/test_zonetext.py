"""A plugin with zones of its own in the store (tests/plugins/zonetext), in a real server: what rrsets/ is for."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from tests.support import ROOT, Server, wait_until

COREFILE = """\
zone.test:DNS_PORT other.test:DNS_PORT {
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:METRICS_PORT
    zonetext FILE
    whoami
}
"""
ZONE = """\
zone zone.test.
zone.test. 300 SOA ns.zone.test. host.zone.test. SERIAL 7200 1800 86400 60
zone.test. 300 NS ns.zone.test.
ns.zone.test. 300 A 192.0.2.53
www.zone.test. 60 A 192.0.2.1
www.zone.test. 60 A 192.0.2.2
WWW.zone.test. 60 AAAA 2001:db8::1
mail.zone.test. 60 MX 10 www.zone.test.
alias.zone.test. 60 CNAME www.zone.test.
*.wild.zone.test. 60 TXT "any"
deep.down.zone.test. 60 A 192.0.2.3
sub.zone.test. 60 NS ns.elsewhere.test.
moved.zone.test. 60 DNAME zone.elsewhere.test.
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PYTHONPATH on which the plugin has its entry point."""
    folder = tmp_path_factory.mktemp("installed")
    about = folder / "fastdns_zonetext-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fastdns-zonetext\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[fastdns.plugins]\nzonetext = tests.plugins.zonetext.plugin:plugin\n")
    return f"{folder}:{ROOT}"


@contextlib.contextmanager
def serving(folder: Path, installed: str, text: str, corefile: str = COREFILE) -> Iterator[Server]:
    """A server of the zones in a text."""
    write(folder, text)
    filled = corefile.replace("FILE", str(folder / "zones"))
    with Server(folder, filled, environ={"PYTHONPATH": installed}) as server:
        yield server


def write(folder: Path, text: str) -> None:
    (folder / "zones.new").write_text(text)
    (folder / "zones.new").replace(folder / "zones")


def asked(server: Server, name: str, kind: str = "A") -> tuple[str, list[str], list[str]]:
    """(code, answer, authority)"""
    reply = server.query(name, kind)
    return (
        dns.rcode.to_text(reply.rcode()),
        [rrset.to_text() for rrset in reply.answer],
        [rrset.to_text() for rrset in reply.authority],
    )


def test_it_answers_from_its_zones(tmp_path: Path, installed: str) -> None:
    soa = "zone.test. 60 IN SOA ns.zone.test. host.zone.test. 7 7200 1800 86400 60"
    with serving(tmp_path, installed, ZONE.replace("SERIAL", "7")) as server:
        for name, kind, expected in [
            ("www.zone.test.", "A", (
                "NOERROR", ["www.zone.test. 60 IN A 192.0.2.1\nwww.zone.test. 60 IN A 192.0.2.2"], [],
            )),
            ("wWw.zone.test.", "AAAA", ("NOERROR", ["wWw.zone.test. 60 IN AAAA 2001:db8::1"], [])),
            ("www.zone.test.", "TXT", ("NOERROR", [], [soa])),
            ("zone.test.", "SOA", ("NOERROR", [soa.replace(" 60 IN", " 300 IN")], [])),
            ("mail.zone.test.", "MX", ("NOERROR", ["mail.zone.test. 60 IN MX 10 www.zone.test."], [])),
            ("alias.zone.test.", "A", ("NOERROR", ["alias.zone.test. 60 IN CNAME www.zone.test."], [])),
            ("x.y.wild.zone.test.", "TXT", ("NOERROR", ['x.y.wild.zone.test. 60 IN TXT "any"'], [])),
            ("x.wild.zone.test.", "A", ("NOERROR", [], [soa])),
            ("wild.zone.test.", "TXT", ("NOERROR", [], [soa])),
            ("down.zone.test.", "A", ("NOERROR", [], [soa])),
            ("none.zone.test.", "A", ("NXDOMAIN", [], [soa])),
            ("below.www.zone.test.", "A", ("NXDOMAIN", [], [soa])),
            ("a.sub.zone.test.", "A", ("NOERROR", [], ["sub.zone.test. 60 IN NS ns.elsewhere.test."])),
            ("sub.zone.test.", "DS", ("NOERROR", [], [soa])),
            ("a.moved.zone.test.", "A", ("NOERROR", ["moved.zone.test. 60 IN DNAME zone.elsewhere.test."], [])),
            ("down.zone.test.", "NSEC", (
                "NOERROR",
                ["down.zone.test. 0 IN NSEC deep.down.zone.test."],
                ["down.zone.test. 0 IN NSEC alias.zone.test."],
            )),
        ]:  # fmt: skip
            assert asked(server, name, kind) == expected, name
        # No zone of the source: the next plugin's turn.
        assert server.query("x.other.test.").additional
        question = dns.message.make_query("zone.test.", "AXFR")
        reply = dns.query.tcp(question, "127.0.0.1", 5, port=server.port, one_rr_per_rrset=True)
        names = [str(rrset.name) for rrset in reply.answer]
        assert names == [
            "zone.test.", "zone.test.", "alias.zone.test.", "deep.down.zone.test.", "mail.zone.test.",
            "moved.zone.test.", "ns.zone.test.", "sub.zone.test.", "*.wild.zone.test.", "www.zone.test.",
            "www.zone.test.", "www.zone.test.", "zone.test.",
        ]  # fmt: skip


def test_changes_show_and_a_reload_keeps_what_is_there(tmp_path: Path, installed: str) -> None:
    with serving(tmp_path, installed, ZONE.replace("SERIAL", "1")) as server:
        watcher = server.pids().watcher
        server.write_corefile((tmp_path / "Corefile").read_text().replace("    whoami\n", ""))
        server.reload()
        assert server.pids().watcher == watcher, "its options stay, and so does its watcher"
        assert server.addresses("www.zone.test.") == ["192.0.2.1", "192.0.2.2"]
        changed = ZONE.replace("SERIAL", "2").replace("192.0.2.1", "192.0.2.9") + "zone other.test.\n"
        write(tmp_path, changed + "a.other.test. 5 A 192.0.2.4\n")
        wait_until(lambda: server.addresses("a.other.test.") == ["192.0.2.4"])
        assert server.addresses("www.zone.test.") == ["192.0.2.2", "192.0.2.9"]
        # A zone that goes, and a mistake that changes nothing.
        write(tmp_path, ZONE.replace("SERIAL", "3"))
        wait_until(lambda: not server.addresses("a.other.test."))
        write(tmp_path, "zone zone.test.\nwww.zone.test. 60 A 192.0.2.999\n")
        server.wait_for_log("zones: 2: 'www.zone.test. 60 A 192.0.2.999' is neither a zone nor a record")
        assert server.addresses("www.zone.test.") == ["192.0.2.1", "192.0.2.2"]


def test_a_source_that_leaves_the_corefile_is_purged(tmp_path: Path, installed: str) -> None:
    other = tmp_path / "other"
    other.write_text("zone third.test.\na.third.test. 5 A 192.0.2.5\n")
    third = f"third.test:DNS_PORT {{\n    bind 127.0.0.1\n    zonetext {other}\n}}\n"
    with serving(tmp_path, installed, ZONE.replace("SERIAL", "1"), COREFILE + third) as server:
        wait_until(lambda: server.addresses("a.third.test.") == ["192.0.2.5"])
        assert server.total("fastdns_store_records") > 10
        server.write_corefile((tmp_path / "Corefile").read_text().replace(f"    zonetext {tmp_path}/zones\n", ""))
        server.reload()
        # The other one's: a zone, a name, a chunk and a directory.
        wait_until(lambda: server.total("fastdns_store_records") == 4)
        assert server.addresses("a.third.test.") == ["192.0.2.5"]


NAMES = 3000


def version(number: int) -> str:
    """A zone in which everything says which version it is."""
    kept = f"zone zone.test.\nzone.test. 300 SOA ns.zone.test. h.zone.test. {number} 7200 1800 86400 60\n"
    here = (f"n{name}.zone.test. 60 A 10.0.0.{number % 200}\n" for name in range(NAMES) if (name + number) % 3)
    return kept + "".join(here)


@pytest.mark.parametrize("seed", range(1))
def test_a_watcher_that_is_killed_while_it_replaces_zones(tmp_path: Path, installed: str, seed: int) -> None:
    """No answer is wrong: each is of a version that was published, or about to be; the successor goes on."""
    wrong: list[str] = []
    done = threading.Event()
    newest = [1]

    def ask() -> None:
        number = 0
        while not done.is_set():
            number += 1
            name = number * 7 % NAMES
            before = newest[0]
            try:
                reply = server.query(f"n{name}.zone.test.", timeout_s=2)
            except Exception as error:
                wrong.append(f"n{name}: {error!r}")
                continue
            # Which versions it may be of: it was written some time after the one that was served before.
            may = range(max(1, before - 1), newest[0] + 1)
            if reply.rcode() == 0 and reply.answer:
                said = int(str(reply.answer[0][0]).rpartition(".")[2])
                if not any(said == version % 200 and (name + version) % 3 for version in may):
                    wrong.append(f"n{name} is {said}, of {may}")
            elif reply.rcode() == 3:
                serial = reply.authority[0][0].serial
                if serial not in may or (name + serial) % 3:
                    wrong.append(f"n{name} is denied at {serial}, of {may}")
            else:
                wrong.append(f"n{name}: {dns.rcode.to_text(reply.rcode())} {reply.answer}")

    with serving(tmp_path, installed, version(1)) as server:
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(2, 10):
                watcher = server.pids().watcher
                assert watcher is not None
                newest[0] = number
                write(tmp_path, version(number))
                # Some time while it reads and replaces, or just after.
                threading.Event().wait(0.01 * (number * 5 % 17))
                os.kill(watcher, signal.SIGKILL)
                wait_until(lambda gone=watcher: server.pids().watcher not in (None, gone), 20)
                wait_until(lambda now=number: server.query("zone.test.", "SOA").answer[0][0].serial == now, 20)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert not wrong, wrong[:5]
        # What was left over is swept: the zone's names, a chunk for a hundred of them, and little else.
        names = sum(1 for name in range(NAMES) if (name + 9) % 3) + 1
        wait_until(lambda: names < server.total("fastdns_store_records") < names * 1.03 + 20)
