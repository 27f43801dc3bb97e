"""sign beside file in a server: what is signed is served; what goes wrong later stops nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.dnssec
import dns.message
import dns.name
import dns.query
import dns.rdatatype
import dns.rrset
import pytest

from tests.plugins.dnssec.keyfiles import KSK, P256, KeyFiles, make_key
from tests.plugins.sign.zones import ZONE
from tests.support import Server, wait_until

COREFILE = """\
example.org:DNS_PORT {
    prometheus 127.0.0.1:METRICS_PORT
    file signed/db.example.org.signed {
        reload 300ms
    }
    sign db.example.org {
        key directory keys
        directory signed
    }
}
"""
# A reload, a signing and a reading of the zone follow each other.
LIMIT_S = 30.0
ORIGIN = dns.name.from_text("example.org.")


@pytest.fixture
def key(tmp_path: Path) -> KeyFiles:
    (tmp_path / "db.example.org").write_text(ZONE)
    for folder in ("keys", "signed"):
        (tmp_path / folder).mkdir()
    return make_key(tmp_path / "keys", "example.org.", P256, KSK)


@pytest.fixture
def server(tmp_path: Path, key: KeyFiles) -> Iterator[Server]:
    with Server(tmp_path, COREFILE, workers=1) as server:
        yield server


def answer(server: Server, name: str, rdtype: str) -> dns.message.Message:
    query = dns.message.make_query(name, rdtype, want_dnssec=True, payload=4096)
    return dns.query.udp(query, "127.0.0.1", 5.0, server.port)


def serial(server: Server) -> int:
    # On a busy machine a zone is signed after the start.
    wait_until(lambda: answer(server, "example.org.", "SOA").answer, LIMIT_S)
    return int(answer(server, "example.org.", "SOA").answer[0][0].serial)


def runs(server: Server, result: str) -> float:
    wait_until(lambda: server.http("/metrics")[0] == 200, LIMIT_S)
    return server.samples()["fastdns_sign_runs_total", (("result", result), ("zone", "example.org."))]


def check(section: list[dns.rrset.RRset], key: KeyFiles) -> None:
    """All signatures of a section are good, and there are some."""
    sets = {(one.name, one.rdtype): one for one in section if one.rdtype != dns.rdatatype.RRSIG}
    signatures = [one for one in section if one.rdtype == dns.rdatatype.RRSIG]
    assert signatures
    dnskeys = dns.rrset.from_rdata(ORIGIN, 60, key.dnskey)
    for one in signatures:
        dns.dnssec.validate(sets[one.name, one.covers], one, {ORIGIN: dnskeys})


def test_what_is_signed_is_served(server: Server, key: KeyFiles) -> None:
    """From the first query on: the start has waited for it."""
    assert 'plugin/sign: Signing "example.org." because open ' in server.log
    assert f'Successfully signed zone "example.org." in "signed/db.example.org.signed" with key tags "{key.tag}"' \
        in server.log  # fmt: skip
    check(answer(server, "mail.example.org.", "A").answer, key)
    check(answer(server, "x.wild.example.org.", "TXT").authority, key)
    denial = answer(server, "nothing.example.org.", "A").authority
    check(denial, key)
    assert any(one.rdtype == dns.rdatatype.NSEC for one in denial)
    check(answer(server, "safe.example.org.", "DS").answer, key)
    check(answer(server, "example.org.", "CDS").answer, key)
    assert runs(server, "signed") == 1
    assert runs(server, "failed") == 0
    expires_s = server.samples()["fastdns_sign_expiration_timestamp_seconds", (("zone", "example.org."),)]
    assert 31 * 86400 < expires_s - serial(server) < 38 * 86400

    # A zone that is signed is left alone by a reload; one whose signed file was removed is signed again.
    server.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: "Skipping signing zone" in server.log, LIMIT_S)
    before = serial(server)
    wait_until(lambda: server.log.count("Reloading complete") == 1, LIMIT_S)
    with (server.folder / "db.example.org").open("a") as file:
        file.write("new A 192.0.2.77\n")
    (server.folder / "signed/db.example.org.signed").unlink()
    server.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: serial(server) > before, LIMIT_S)
    check(answer(server, "new.example.org.", "A").answer, key)
    assert runs(server, "signed") == 2


def test_what_goes_wrong_later_stops_nothing(server: Server, key: KeyFiles) -> None:
    before = serial(server)
    (server.folder / "db.example.org").write_text("@ SOA what is this\n")
    (server.folder / "signed/db.example.org.signed").unlink()
    server.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: 'Error signing "example.org." with key tags' in server.log, LIMIT_S)
    assert "db.example.org:1 - " in server.log
    wait_until(lambda: server.log.count("Reloading complete") == 1, LIMIT_S)
    assert runs(server, "failed") >= 1
    Path(f"{key.base}.private").write_text("no key")
    server.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: "Restart failed: plugin/sign: Corefile:6 - " in server.log, LIMIT_S)
    assert serial(server) == before, "what was signed is served on"
    assert server.log.count("Error signing") == 1, "said once"


def test_a_key_that_cannot_be_used_ends_a_start(tmp_path: Path, key: KeyFiles) -> None:
    Path(f"{key.base}.private").write_text("no key")
    with Server(tmp_path, COREFILE, workers=1, wait=False) as server:
        assert server.process.wait(20) != 0
        assert "plugin/sign: Corefile:6 - " in server.log
        assert ".private: no private key found" in server.log
        done = subprocess.run(
            [sys.executable, "-m", "fastdns.cli", "check", "-conf", str(server.corefile)],
            cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
    assert done.returncode != 0
    assert ".private: no private key found" in done.stdout + done.stderr
