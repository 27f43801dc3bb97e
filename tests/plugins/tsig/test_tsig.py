"""Signed and unsigned messages, beside CoreDNS; clients; files of secrets that change."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.opcode
import dns.tsig
import pytest

from fastdns.cli import main
from fastdns.corefile import load
from fastdns.plugins.tsig.plugin import plugin
from tests.plugins.beside import Both
from tests.plugins.tsig.messages import SECRET, SECRET_TEXT, Said, exchange, key, query, read
from tests.support import Server

KEYS = f"""key "file.key." {{
    algorithm hmac-sha256;
    secret "{SECRET_TEXT}";
}};
key "second.key" {{
    secret "b3RoZXI="
}}
"""
COREFILE = f"""
may.example:DNS_PORT {{
    tsig {{
        secret Key.Example. {SECRET_TEXT}
        secrets keys.conf
    }}
    whoami
}}
all.example:DNS_PORT {{
    tsig {{
        require all
    }}
    whoami
}}
types.example:DNS_PORT {{
    tsig {{
        require AXFR MX
        require_opcode NOTIFY
    }}
    whoami
}}
part.example:DNS_PORT {{
    tsig sub.part.example {{
        require all
    }}
    whoami
}}
fails.example:DNS_PORT {{
    tsig
}}
plain.example:DNS_PORT {{
    whoami
}}
"""


@dataclass(frozen=True)
class Exchange:
    """A request, and what its reply says. coredns: what CoreDNS's says instead, and why."""

    qname: str
    signed: dns.tsig.Key | None
    expected: Said
    why: str
    qtype: str = "A"
    late_s: float = 0
    edns: bool = False
    coredns: tuple[Said, str] | None = None


ANSWERED, VERIFIED = Said("NOERROR", "none"), Said("NOERROR", "")
REFUSED = Said("REFUSED", "none")
CASES = [
    Exchange("may.example.", None, ANSWERED, "need not be signed"),
    Exchange("may.example.", key(), VERIFIED, "signed"),
    Exchange("may.example.", key(), VERIFIED, "signed, with EDNS", edns=True),
    Exchange("May.Example.", key("KEY.example."), VERIFIED, "names in any case",
             coredns=(Said("NOTAUTH", "BADKEY"), "it finds a key only by its name in lower case")),
    *(
        Exchange("may.example.", key(algorithm=one), VERIFIED, f"by {one}")
        for one in (
            dns.tsig.HMAC_SHA1, dns.tsig.HMAC_SHA224, dns.tsig.HMAC_SHA256, dns.tsig.HMAC_SHA384,
            dns.tsig.HMAC_SHA512,
        )
    ),
    Exchange("may.example.", key("file.key."), VERIFIED, "a key of the file"),
    Exchange("may.example.", key("second.key.", b"other"), VERIFIED, "the second key of the file"),
    Exchange("may.example.", key("second.key.", SECRET), Said("NOTAUTH", "BADSIG"), "the secret of another key"),
    Exchange("may.example.", key("nobody."), Said("NOTAUTH", "BADKEY"), "a key that there is not"),
    Exchange("may.example.", key(), Said("NOTAUTH", "BADTIME"), "signed too long ago", late_s=400),
    Exchange("may.example.", key(), Said("NOTAUTH", "BADTIME"), "signed in the future", late_s=-400),
    Exchange("may.example.", key(), VERIFIED, "signed a while ago", late_s=250),
    Exchange("may.example.", key(algorithm=dns.tsig.HMAC_MD5), Said("NOTAUTH", "BADKEY"), "MD5",
             coredns=(Said("NOTAUTH", "BADSIG"), "it tells BADSIG of an algorithm that it does not have")),
    Exchange("may.example.", key(algorithm=dns.tsig.HMAC_SHA256_128), VERIFIED, "an algorithm with shorter MACs",
             coredns=(Said("NOTAUTH", "BADSIG"), "it does not have the algorithms with shorter MACs")),
    Exchange("all.example.", None, REFUSED, "must be signed"),
    Exchange("all.example.", key(), VERIFIED, "a key of another block of the listener"),
    Exchange("all.example.", key("nobody."), Said("NOTAUTH", "BADKEY"), "must be signed by a known key"),
    Exchange("types.example.", None, ANSWERED, "another type"),
    Exchange("types.example.", None, REFUSED, "this type", qtype="MX"),
    Exchange("types.example.", key(), VERIFIED, "this type, signed", qtype="MX"),
    Exchange("part.example.", None, ANSWERED, "not in the zone of tsig"),
    Exchange("part.example.", key(), ANSWERED, "not in the zone of tsig, signed"),
    Exchange("part.example.", key("nobody."), ANSWERED, "not in the zone of tsig, by a key that there is not"),
    Exchange("a.sub.part.example.", None, REFUSED, "in the zone of tsig"),
    Exchange("a.sub.part.example.", key(), VERIFIED, "in the zone of tsig, signed"),
    Exchange("fails.example.", key(), Said("SERVFAIL", ""), "no plugin answers"),
    Exchange("plain.example.", key(), ANSWERED, "no tsig in the block"),
]  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with Both(tmp_path_factory.mktemp("tsig"), COREFILE, {"keys.conf": KEYS}) as both:
        yield both


@pytest.mark.parametrize("case", CASES, ids=[case.why for case in CASES])
@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
def test_replies(both: Both, case: Exchange, tcp: bool) -> None:
    for server in filter(None, (both.fastdns, both.coredns)):
        asked = query(case.qname, case.qtype, case.signed, case.late_s, use_edns=0 if case.edns else None)
        said = read(exchange(asked.wire, server.port, tcp=tcp), asked, case.signed)
        expected = case.coredns[0] if case.coredns and server is both.coredns else case.expected
        assert said == expected, server


@pytest.mark.parametrize(("signed", "expected"), [(None, REFUSED), (key(), VERIFIED)])
def test_an_opcode(both: Both, signed: dns.tsig.Key | None, expected: Said) -> None:
    for server in filter(None, (both.fastdns, both.coredns)):
        asked = query("types.example.", "SOA")
        asked.set_opcode(dns.opcode.NOTIFY)
        if signed is not None:
            asked.use_tsig(signed, signed.name)
        assert read(exchange(asked.to_wire(), server.port), asked, signed) == expected


def test_a_malformed_record(both: Both) -> None:
    """FORMERR (RFC 8945 section 5.2). CoreDNS answers BADSIG to a MAC of any length, and takes any class."""
    asked = query("may.example.", signed=key())
    wire = asked.wire.replace(b"\0\xfa\0\xff", b"\0\xfa\0\1")
    assert read(exchange(wire, both.fastdns.port), asked, None) == Said("FORMERR", "none")


# Clients

HMACS = ["hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"]


@pytest.mark.skipif(shutil.which("kdig") is None, reason="no kdig")
@pytest.mark.parametrize("algorithm", HMACS)
def test_kdig(both: Both, algorithm: str) -> None:
    def ask(secret: str, *more: str) -> str:
        command = ["kdig", "@127.0.0.1", "-p", str(both.fastdns.port), "-y", f"{algorithm}:key.example:{secret}"]
        command += ["all.example", "+norec", *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout

    for transport in ("+notcp", "+tcp"):
        said = ask(SECRET_TEXT, transport)
        assert "status: NOERROR" in said and "TSIG PSEUDOSECTION" in said and "WARNING" not in said, said
    assert "status: BADSIG" in (said := ask("b3RoZXI=")), said


@pytest.mark.skipif(shutil.which("dig") is None, reason="no dig")
@pytest.mark.parametrize("algorithm", [*HMACS, "hmac-sha256-128", "hmac-sha1-80"])
def test_dig(both: Both, algorithm: str) -> None:
    command = ["dig", "@127.0.0.1", "-p", str(both.fastdns.port), "-y", f"{algorithm}:key.example:{SECRET_TEXT}"]
    said = subprocess.run([*command, "all.example", "+norec"], capture_output=True, text=True, timeout=10).stdout
    assert "status: NOERROR" in said and "TSIG PSEUDOSECTION" in said and ";; WARNING" not in said, said
    assert "verify failure" not in said and "Couldn't verify" not in said, said


@pytest.mark.skipif(shutil.which("nsupdate") is None, reason="no nsupdate")
def test_nsupdate(both: Both) -> None:
    """As in CoreDNS, no plugin sees an UPDATE: it is not implemented, whether it is signed or not."""
    command = ["nsupdate", "-y", f"hmac-sha256:key.example:{SECRET_TEXT}"]
    for server in filter(None, (both.fastdns, both.coredns)):
        text = f"server 127.0.0.1 {server.port}\nzone may.example\nupdate add a.may.example 60 A 192.0.2.1\nsend\n"
        said = subprocess.run(command, input=text, capture_output=True, text=True, timeout=10)
        assert said.returncode and "NOTIMP" in said.stderr, said


# Files

RELOADED = """
example.org:DNS_PORT {
    tsig {
        secrets keys.conf
        require all
    }
    whoami
}
"""


def test_a_file_that_changes(tmp_path: Path) -> None:
    """New keys serve after a reload; a file that cannot be read leaves those that there were."""
    file = tmp_path / "keys.conf"
    file.write_text(KEYS)
    with Server(tmp_path, RELOADED) as server:

        def said(signed: dns.tsig.Key) -> Said:
            asked = query("example.org.", signed=signed)
            return read(exchange(asked.wire, server.port), asked, signed)

        new = key("new.key.")
        assert said(key("file.key.")) == VERIFIED
        assert said(new) == Said("NOTAUTH", "BADKEY")
        file.write_text(KEYS.replace("file.key.", "new.key."))
        server.reload()
        assert said(new) == VERIFIED
        assert said(key("file.key.")) == Said("NOTAUTH", "BADKEY")
        file.write_text("nonsense")
        server.send_signal(signal.SIGUSR1)
        server.wait_for_log("unexpected token 'nonsense'")
        assert said(new) == VERIFIED


def test_changes_of_files_are_seen_once(tmp_path: Path) -> None:
    """The supervisor asks every few seconds, and prepares the keys anew."""
    file = tmp_path / "keys.conf"
    file.write_text(KEYS)
    config = load(f"a {{\ntsig {{\nsecrets {file}\n}}\n}}", environ={})
    part = plugin.in_supervisor(None)  # type: ignore[arg-type]
    assert asyncio.run(part.prepare(config))[0].names == [b"\4file\3key\0", b"\6second\3key\0"]
    assert not part.has_changed()
    file.write_text(KEYS.replace("file.key.", "other.key."))
    assert part.has_changed() and not part.has_changed()
    file.unlink()
    assert not part.has_changed()
    file.write_text(KEYS)
    assert part.has_changed() and not part.has_changed()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "keys.conf: No such file or directory"),
        ("key a {\n}", "keys.conf: line 1: expected a secret for key 'a'"),
    ],
)
def test_a_server_does_not_start_without_its_keys(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Corefile").write_text(RELOADED.replace("DNS_PORT", "1053"))
    if text is not None:
        Path("keys.conf").write_text(text)
    assert main(["check"]) == 1
    captured = capsys.readouterr()
    assert f"plugin/tsig: Corefile:3 - {expected}" in captured.out + captured.err
