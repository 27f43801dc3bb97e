"""What sign reads of a Corefile, and what it says of keys that it cannot use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError, FastdnsError
from fastdns.plugins.sign.config import Config, KeySource, Zone
from fastdns.plugins.sign.keys import load_zone_keys
from tests.plugins.dnssec.keyfiles import ED25519, KSK, P256, RSASHA256, ZSK, make_key


def parsed(text: str, keys: str = "example.org:1053") -> tuple[Zone, ...]:
    config = load(f"{keys} {{\n    root /zones\n    {text}\n    whoami\n}}\n", "Corefile")
    found = config.blocks[0].plugins["sign"]
    assert isinstance(found, Config)
    return found.zones


def files(*paths: str) -> tuple[KeySource, ...]:
    return tuple(KeySource("file", path) for path in paths)


LIB = "/var/lib/coredns"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sign db {\n key file K\n }", [Zone("example.org.", "/zones/db", LIB, files("/zones/K"))]),
        ("sign /db Miek.NL {\n key file K.key /L.private\n }",
         [Zone("miek.nl.", "/db", LIB, files("/zones/K", "/L"))]),
        ("sign db {\n key file K\n directory .\n key directory keys /keys\n }",
         [Zone("example.org.", "/zones/db", "/zones",
               (*files("/zones/K"), KeySource("directory", "/zones/keys"), KeySource("directory", "/keys")))]),
        ("sign db a b {\n key file K\n directory /tmp\n }",
         [Zone("a.", "/zones/db", "/tmp", files("/zones/K")), Zone("b.", "/zones/db", "/tmp", files("/zones/K"))]),
        ("sign db {\n key file K\n directory /a\n directory /b\n }\n sign other a {\n key file L\n }",
         [Zone("example.org.", "/zones/db", "/b", files("/zones/K")),
          Zone("a.", "/zones/other", LIB, files("/zones/L"))]),
        ("sign db 10.0.0.0/8 {\n key file K\n }",
         [Zone("10.in-addr.arpa.", "/zones/db", LIB, files("/zones/K"))]),
    ],
)  # fmt: skip
def test_options(text: str, wanted: list[Zone]) -> None:
    assert parsed(text) == tuple(wanted)


def test_all_zones_of_a_block_are_signed() -> None:
    found = parsed("sign db {\n key file K\n }", "example.org:1053 example.net:1053")
    assert [zone.name for zone in found] == ["example.org.", "example.net."]
    assert [zone.signed_file for zone in found] == [f"{LIB}/db.example.{end}.signed" for end in ("org", "net")]
    assert parsed("sign db . {\n key file K\n }")[0].signed_file == f"{LIB}/db..signed"


@pytest.mark.parametrize(
    ("text", "line", "error"),
    [
        ("sign", 3, "a zone file, and optionally its zones"),
        ("sign db", 3, "no key is given"),
        ("sign db {\n directory /x\n }", 3, "no key is given"),
        ("sign db {\n key\n }", 4, "file or directory, and where the keys are"),
        ("sign db {\n key vault K\n }", 4, "file or directory, and where the keys are"),
        ("sign db {\n key file\n }", 4, "one key at least"),
        ("sign db {\n key directory\n }", 4, "one directory at least"),
        ("sign db {\n key file " + "K " * 17 + "\n }", 4, "more than 16 keys"),
        ("sign db {\n key file K\n directory\n }", 5, "one argument"),
        ("sign db {\n key file K\n directory a b\n }", 5, "one argument"),
        ("sign db {\n keys file K\n }", 4, "unknown option 'keys'; did you mean 'key'"),
        ("sign db {\n key file K\n jitter 1h\n }", 5, "unknown option 'jitter'"),
        ("sign db a..b {\n key file K\n }", 3, "a..b"),
        ("sign \ufffd {\n key file K\n }", 3, "contains invalid characters"),
        ("sign db {\n key file K\ufffd\n }", 4, "contains invalid characters"),
    ],
)
def test_errors_have_file_and_line(text: str, line: int, error: str) -> None:
    with pytest.raises(CorefileError, match=error) as raised:
        parsed(text)
    assert f"Corefile:{line} - " in str(raised.value)


def zone(*sources: KeySource) -> Zone:
    return Zone("example.org.", "db", "/tmp", sources)


def test_keys_of_files(tmp_path: Path) -> None:
    made = [make_key(tmp_path, "example.org.", algorithm, KSK) for algorithm in (P256, RSASHA256, ED25519)]
    other = make_key(tmp_path, "example.net.", P256, KSK)
    found = load_zone_keys(zone(*files(*(str(one.base) for one in (*made, other, made[0])))))
    assert [key.dnskey for key in found] == [one.dnskey for one in (*made, other)], "each once, also another zone's"


def test_a_key_must_have_the_sep_bit(tmp_path: Path) -> None:
    made = make_key(tmp_path, "example.org.", P256, ZSK)
    with pytest.raises(FastdnsError, match=r"DNSKEY in .*\.key is not a CSK/KSK"):
        load_zone_keys(zone(*files(str(made.base))))


def test_keys_of_a_directory(tmp_path: Path) -> None:
    source = KeySource("directory", str(tmp_path))
    for name in ("other.example.org.", "example.net.", "xample.org."):
        make_key(tmp_path, name, P256, KSK)
    make_key(tmp_path, "example.org.", P256, ZSK)
    (tmp_path / "Kexample.org.+013+00001.key~").write_text("no key")
    with pytest.raises(FastdnsError, match=r"has no CSK/KSK for example\.org\.: expected files Kexample\.org\.\+"):
        load_zone_keys(zone(source))
    made = [make_key(tmp_path, name, P256, KSK) for name in ("example.org.", "Example.ORG", "example.org")]
    assert {key.tag for key in load_zone_keys(zone(source))} == {one.tag for one in made}
    Path(f"{made[0].base}.private").write_text("x")
    with pytest.raises(FastdnsError, match=r"\.private: no private key found"):
        load_zone_keys(zone(source))
    with pytest.raises(FastdnsError, match=r"open /nowhere: No such file"):
        load_zone_keys(zone(KeySource("directory", "/nowhere")))


def test_files_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "K.key")
    with pytest.raises(FastdnsError, match="expected a regular file"):
        load_zone_keys(zone(*files(str(tmp_path / "K"))))
    (tmp_path / "L.key").mkdir()
    with pytest.raises(FastdnsError, match=r"L\.key: "):
        load_zone_keys(zone(*files(str(tmp_path / "L"))))
