"""Signed zones: dnspython, ldns-verify-zone and dnssec-verify judge them, and they are compared with CoreDNS's."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from fastdns.plugins.sign.child import Done, sign_now
from fastdns.plugins.sign.config import KeySource, Zone
from fastdns.plugins.sign.rules import why_sign
from fastdns.plugins.sign.signing import canonical
from fastdns.plugins.sign.writing import replace
from tests.plugins.beside import COREDNS, CoreDNS
from tests.plugins.dnssec.keyfiles import ED25519, KSK, P256, P384, RSASHA256, KeyFiles, make_key
from tests.plugins.dnssec.test_native import SHAPES, any_part
from tests.plugins.sign.zones import MORE, ZONE, outline, random_zone, read, validate
from tests.support import wait_until

VERIFIERS = {
    "ldns-verify-zone": ["ldns-verify-zone"],
    # -z: keys with the SEP bit may sign the zone.
    "dnssec-verify": ["dnssec-verify", "-z", "-q", "-o", "example.org."],
}


def signed(folder: Path, text: str, *keys: KeyFiles) -> tuple[Zone, Done]:
    """A zone that is signed now."""
    (folder / "db").write_text(text)
    zone = Zone("example.org.", str(folder / "db"), str(folder),
                tuple(KeySource("file", str(key.base)) for key in keys))  # fmt: skip
    return zone, sign_now(zone, int(time.time()))


def verify(file: str) -> None:
    """Have others judge a signed zone."""
    for program, words in VERIFIERS.items():
        if shutil.which(program):
            done = subprocess.run([*words, file], capture_output=True, text=True, timeout=20, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("algorithms", [(P256,), (P384,), (ED25519,), (RSASHA256, P256)], ids=str)
def test_a_signed_zone_is_valid(tmp_path: Path, algorithms: tuple[int, ...]) -> None:
    keys = [make_key(tmp_path, "example.org.", algorithm, KSK) for algorithm in algorithms]
    zone, done = signed(tmp_path, ZONE + MORE, *keys)
    assert done.error == ""
    assert done.tags == [key.tag for key in keys]
    assert [line.partition(" - ")[2] for line in done.said] == [
        "elsewhere.example. A: it is not in the zone example.org."
    ]
    verify(zone.signed_file)
    made = read(Path(zone.signed_file))
    validate(made, set(done.tags))
    now_s = int(time.time())
    assert 0 <= now_s - done.serial < 60
    assert made.find_rdataset("example.org.", "SOA")[0].serial == done.serial
    assert why_sign(zone.signed_file, now_s) == ("", done.expiration_s)
    assert made.find_rdataset("many.example.org.", "A").ttl == 200, "one TTL an RRset"
    assert sorted(made.find_rdataset("example.org.", "CDNSKEY").to_text().split()) == sorted(
        made.find_rdataset("example.org.", "DNSKEY").to_text().replace("DNSKEY", "CDNSKEY").split()
    )
    cds = made.find_rdataset("example.org.", "CDS")
    for key in made.find_rdataset("example.org.", "DNSKEY"):
        ds = dns.dnssec.make_ds("example.org.", key, "SHA256")
        assert dns.rdata.from_text("IN", "CDS", ds.to_text()) in cds
    assert len(cds) == len(keys)


def test_what_is_signed_can_be_signed_again(tmp_path: Path) -> None:
    key = make_key(tmp_path, "example.org.", P256, KSK)
    zone, _ = signed(tmp_path, ZONE, key)
    first = outline(read(Path(zone.signed_file)))
    again, done = signed(tmp_path, Path(zone.signed_file).read_text(), key)
    assert done.error == ""
    assert outline(read(Path(again.signed_file))) == first


@pytest.mark.parametrize("seed", range(8))
def test_random_zones(tmp_path: Path, seed: int) -> None:
    key = make_key(tmp_path, "example.org.", ED25519, KSK)
    zone, done = signed(tmp_path, random_zone(Random(seed), 120), key)
    assert done.error == ""
    validate(read(Path(zone.signed_file)), {key.tag})
    verify(zone.signed_file)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_rdata_is_signed_as_dnspython_has_it(name: str) -> None:
    random = Random(name)
    rdtype = dns.rdatatype.from_text(name)
    for _ in range(30):
        rdata = b"".join(any_part(random, part) for part in SHAPES[name])
        if name in ("MB", "MINFO"):
            assert canonical(rdtype, rdata) == rdata.lower()
        else:
            known = dns.rdata.from_wire(dns.rdataclass.IN, rdtype, rdata, 0, len(rdata))
            # RFC 9460 section 2.2: as it is.
            assert canonical(rdtype, rdata) == (rdata if name == "SVCB" else known.to_digestable())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "open {db}: No such file or directory"),
        ("@ SOA a b 1 2 3 4 x\n", "{db}:1 - "),
        ("@ 60 NS a\n", "has no SOA record for origin example.org."),
        ("", "has no SOA record for origin example.org."),
        ("\0\xff\n" * 10, "{db}:1 - "),
    ],
    ids=["missing", "syntax", "no SOA", "empty", "no text"],
)
def test_zone_files_that_cannot_be_read(tmp_path: Path, text: str | None, error: str) -> None:
    zone, _ = signed(tmp_path, ZONE, make_key(tmp_path, "example.org.", P256, KSK))
    before = Path(zone.signed_file).read_text()
    if text is None:
        Path(zone.file).unlink()
    else:
        Path(zone.file).write_text(text)
    done = sign_now(zone, int(time.time()))
    assert error.format(db=zone.file) in done.error
    assert Path(zone.signed_file).read_text() == before, "what is served stays"


def test_a_file_that_includes_itself(tmp_path: Path) -> None:
    key = make_key(tmp_path, "example.org.", P256, KSK)
    (tmp_path / "db").write_text("$INCLUDE db\n")
    zone = Zone("example.org.", str(tmp_path / "db"), str(tmp_path), (KeySource("file", str(key.base)),))
    # It bounds what its process may open.
    program = (
        "from fastdns.plugins.sign.child import sign\n"
        "from fastdns.plugins.sign.config import KeySource, Zone\n"
        f"print(sign({zone!r})['error'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "db:1 - $INCLUDE db: Too many open files" in done.stdout


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "db.example.org.signed"
    file.write_text("old")

    def broken() -> object:
        yield "new"
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        replace(str(file), broken())  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_text() == "old"
    replace(str(file), ["new"])
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600


def test_two_do_not_write_at_once(tmp_path: Path) -> None:
    key = make_key(tmp_path, "example.org.", P256, KSK)
    zone, _ = signed(tmp_path, ZONE, key)
    # What another process would have open.
    names: list[str] = []
    replace(zone.signed_file, (names.append(path.name) or "" for path in tmp_path.glob("signed-*")))  # type: ignore[func-returns-value]
    fd = os.open(tmp_path / names[0], os.O_WRONLY | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    done = sign_now(zone, int(time.time()))
    assert "another process writes" in done.error and not done.is_written
    os.close(fd)
    assert sign_now(zone, int(time.time())).error == ""


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    key = make_key(tmp_path, "example.org.", P256, KSK)
    (tmp_path / "db").write_text(ZONE)
    zone = Zone("example.org.", str(tmp_path / "db"), str(tmp_path / "none"), (KeySource("file", str(key.base)),))
    done = sign_now(zone, int(time.time()))
    assert "No such file or directory" in done.error and not done.is_written


@pytest.mark.skipif(COREDNS is None, reason="CoreDNS is not on PATH")
def test_coredns_signs_the_same(tmp_path: Path) -> None:
    key = make_key(tmp_path, "example.org.", P256, KSK)
    zone, _ = signed(tmp_path, ZONE, key)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    corefile = f"""\
example.org:DNS_PORT {{
    file theirs/db.example.org.signed
    sign db {{
        key file {key.base}
        directory theirs
    }}
}}
"""
    with CoreDNS(tmp_path, corefile):
        wait_until((theirs / "db.example.org.signed").exists, 10.0)
    made, reference = read(Path(zone.signed_file)), read(theirs / "db.example.org.signed")
    assert outline(made) == outline(reference)
    for name, node in made.nodes.items():
        assert made.find_rdataset(name, "NSEC").to_text() == reference.find_rdataset(name, "NSEC").to_text() \
            if any(one.rdtype == dns.rdatatype.NSEC for one in node) else True, name  # fmt: skip
    # They take each other's zone for signed; and the keys are the same.
    assert why_sign(str(theirs / "db.example.org.signed"), int(time.time()))[0] == ""
    assert made.find_rdataset("example.org.", "DNSKEY") == reference.find_rdataset("example.org.", "DNSKEY")
    assert len(reference.find_rdataset("example.org.", "CDS")) == 2, "SHA-1, too: a difference"
