"""Certificates by ACME: a whole server with an authority of the tests, and with pebble where it is installed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import pytest
from cryptography import x509

from fastdns.corefile import load
from fastdns.corefile.mistakes import Mistakes
from fastdns.errors import CorefileError, FastdnsError
from fastdns.plugins.api import Check
from fastdns.plugins.order import load as load_plugin
from fastdns.plugins.tls.acme import LETS_ENCRYPT, Acme, host_port, to_domains
from fastdns.plugins.tls.storage import Storage, directory_of, name_of, safe, write
from fastdns.skipped import SkippedLines
from fastdns.tls import bare_client_context
from tests.plugins.tls.authority import AcmeAuthority, Problem
from tests.support import Server, children, free_port, wait_until

pytest.importorskip("acme")

NAME = "dns.example.org"
# cache has its own idea of names that were asked before; the second block has no line for tls.
COREFILE = """\
tls://.:OTHER_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    tls {
        acme DOMAINS
        email hostmaster@example.org
        ca URL
        storage certificates
    }
    template IN A {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
}
.:DNS_PORT {
    bind 127.0.0.1
    cache
    template IN A {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
    template IN AAAA {
        rcode NOERROR
    }
    template IN TXT {
        rcode NXDOMAIN
        authority "example.org. 60 IN SOA ns.example.org. host.example.org. 1 60 60 60 60"
    }
}
"""


def corefile(authority: AcmeAuthority, domains: str = NAME) -> str:
    return COREFILE.replace("DOMAINS", domains).replace("URL", authority.url)


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[AcmeAuthority]:
    with AcmeAuthority(tmp_path) as authority:
        yield authority


def started(folder: Path, authority: AcmeAuthority, text: str = "", **options: object) -> Server:
    server = Server(folder, text or corefile(authority), workers=2, **options)  # type: ignore[arg-type]
    authority.dns_port = server.port
    return server


def trusting(ca: Path) -> ssl.SSLContext:
    context = bare_client_context()
    context.load_verify_locations(ca)
    return context


def shown(server: Server, context: ssl.SSLContext, name: str = NAME) -> bytes:
    """The certificate that a client sees; b"" where the handshake fails."""
    try:
        with (
            socket.create_connection(("127.0.0.1", server.ports["OTHER_PORT"]), 5) as plain,
            context.wrap_socket(plain, server_hostname=name) as tls,
        ):
            return tls.getpeercert(binary_form=True) or b""
    except (ssl.SSLError, ConnectionError):
        return b""


def answers(server: Server, context: ssl.SSLContext, name: str = NAME) -> list[str]:
    query = dns.message.make_query("www.example.org", "A")
    port = server.ports["OTHER_PORT"]
    reply = dns.query.tls(query, "127.0.0.1", 5, port, server_hostname=name, ssl_context=context)
    return [str(data) for rrset in reply.answer for data in rrset]


def test_a_certificate_is_obtained_and_kept(tmp_path: Path, authority: AcmeAuthority) -> None:
    """Ordered after the start, taken up by all workers, there after a restart, and renewed when it is time."""
    context = trusting(authority.issuer.ca)
    # Two thirds of the time of the first one are over when it comes.
    authority.lifetime_s = 1000
    asked = threading.Event()
    authority.refuse = lambda path: None if asked.wait(10) else Problem("serverInternal", "too late", 500)
    with started(tmp_path, authority) as server:
        # Before there is one, handshakes fail and all else is served.
        assert shown(server, context) == b""
        assert server.addresses("www.example.org") == ["192.0.2.1"]
        # A cache that has heard that there is no such name does not hide the challenge.
        assert server.query(f"_acme-challenge.{NAME}", "TXT").rcode() == 3
        asked.set()
        # Both workers.
        wait_until(lambda: all(shown(server, context) for _ in range(12)), 20, server.log)
        assert answers(server, context) == ["192.0.2.1"]
        assert authority.validations[0][0] == f"_acme-challenge.{NAME}" and len(authority.validations[0][1]) == 1
        # What was presented is gone.
        assert server.query(f"_acme-challenge.{NAME}", "TXT").rcode() == 3
        assert f"[INFO] plugin/tls: Certificate for {NAME} obtained from {authority.url}, valid " in server.log
        assert server.total("fastdns_tls_acme_orders_total", result="obtained") == 1
        assert server.total("fastdns_tls_acme_not_after_timestamp_seconds", domain=NAME) > time.time()
        assert "Traceback" not in server.log and "[ERROR]" not in server.log
        first = shown(server, context)
    [account] = authority.accounts.values()
    assert account["contact"] == ["mailto:hostmaster@example.org"]
    for file in (tmp_path / "certificates").rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o600), file

    authority.lifetime_s = 7200
    asked.clear()
    with started(tmp_path, authority) as server:
        # It was there before the first connection, and is used until there is another one.
        assert shown(server, context) == first
        assert server.addresses("www.example.org") == ["192.0.2.1"]
        asked.set()
        wait_until(lambda: shown(server, context) not in (b"", first), 20, server.log)
        wait_until(lambda: len({shown(server, context) for _ in range(12)}) == 1, 5)
        # Its workers were forked before.
        [worker, _] = server.pids().workers.values()
        os.kill(worker, 9)
        wait_until(lambda: worker not in server.pids().workers.values() and len(server.pids().workers) == 2)
        wait_until(lambda: {shown(server, context) for _ in range(12)}.isdisjoint((b"", first)))
    assert len(authority.orders) == 2 and len(authority.accounts) == 1


def test_several_domains_have_one_certificate(tmp_path: Path, authority: AcmeAuthority) -> None:
    context = trusting(authority.issuer.ca)
    with started(tmp_path, authority, corefile(authority, "example.org *.example.org DNS.example.net.")) as server:
        wait_until(lambda: shown(server, context, "example.org"), 20)
        names = x509.load_der_x509_certificate(shown(server, context, "example.org")).extensions
        found = names.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        assert sorted(found) == ["*.example.org", "dns.example.net", "example.org"]
        assert answers(server, context, "any.example.org") == ["192.0.2.1"]
        # Both values of the one name were answered together.
        assert [len(values) for name, values in authority.validations if name.endswith("e.example.org")] == [2, 2]
    assert len(authority.orders) == 1


def test_failures_are_said_once_and_end_with_a_reload(tmp_path: Path, authority: AcmeAuthority) -> None:
    """They stop nothing."""
    context = trusting(authority.issuer.ca)
    authority.refuse = lambda path: Problem("rateLimited", "not today", 429) if path == "/new-order" else None
    with started(tmp_path, authority) as server:
        server.wait_for_log("could not be obtained from")
        assert "not today" in server.log and "trying again in 120 s" in server.log
        assert server.addresses("www.example.org") == ["192.0.2.1"]
        assert shown(server, context) == b""
        assert server.total("fastdns_tls_acme_orders_total", result="failed") == 1
        # A validation that fails says of which domain.
        authority.refuse = lambda path: None
        authority.dns_port = free_port()
        server.reload()
        server.wait_for_log("could not be obtained from", count=2)
        assert f"{NAME}: no TXT record of _acme-challenge.{NAME} has the value" in server.log
        authority.dns_port = server.port
        server.reload(2)
        wait_until(lambda: shown(server, context), 20)
        assert server.log.count("[ERROR]") == 2 and "Traceback" not in server.log


def test_a_child_that_is_killed_is_a_failure(tmp_path: Path, authority: AcmeAuthority) -> None:
    """What it has presented is withdrawn; the next try is whole."""
    context = trusting(authority.issuer.ca)
    reached, go_on = threading.Event(), threading.Event()

    def hold(path: str) -> None:
        if path.startswith("/challenge"):
            reached.set()
            go_on.wait(10)

    authority.refuse = hold
    with started(tmp_path, authority) as server:
        assert reached.wait(20)
        presented = server.query(f"_ACME-challenge.{NAME}", "TXT")
        assert len(presented.answer) == 1 and presented.answer[0].ttl == 0
        assert presented.flags & dns.flags.AA
        assert server.query(f"_acme-challenge.{NAME}", "A").answer
        [child] = [pid for pid, title in children(server.process.pid).items() if title == "fastdns: certificates"]
        os.kill(child, 9)
        server.wait_for_log("could not be obtained from")
        assert server.query(f"_acme-challenge.{NAME}", "TXT").rcode() == 3
        go_on.set()
        server.reload()
        wait_until(lambda: shown(server, context), 20)


def test_options_reach_the_authority(tmp_path: Path) -> None:
    """ca_root: its TLS is verified by that. resolver: its name is looked up there. And a pair that does not fit,
    which a crash has left, is ordered anew."""
    with AcmeAuthority(tmp_path, over_tls=True) as authority:
        text = corefile(authority).replace("https://localhost:", "https://acme.example:")
        options = "storage certificates\nca_root ca.crt\nresolver 127.0.0.1:DNS_PORT"
        text = text.replace("storage certificates", options)
        text = text.replace("192.0.2.1", "127.0.0.1")
        authority.host = "acme.example"
        storage = Storage(Acme((NAME,), authority.url, str(tmp_path / "certificates")))
        shutil.copy(authority.issuer.issue("old", (NAME,))[0], tmp_path / "old.pem")
        write(storage.certificate, (tmp_path / "old.pem").read_bytes())
        write(storage.key, authority.issuer.issue("other")[1].read_bytes())
        with started(tmp_path, authority, text) as server:
            wait_until(lambda: shown(server, trusting(authority.issuer.ca)), 20)
            described = json.loads(storage.description.read_text())
            assert described["sans"] == [NAME] and described["issuer_data"]["ca"] == authority.url
        text = text.replace("ca_root ca.crt", "")
        shutil.rmtree(tmp_path / "certificates")
        with started(tmp_path, authority, text) as server:
            server.wait_for_log("could not be obtained from")
            assert "certificate verify failed" in server.log


def test_pebble(tmp_path: Path, authority: AcmeAuthority) -> None:
    """Let's Encrypt's test server, which tests clients: it refuses nonces, and reuses no authorization."""
    pebble = shutil.which("pebble")
    if pebble is None:
        pytest.skip("there is no pebble")
    certificate, key = authority.issuer.issue("pebble", ("localhost",))
    ports = [free_port(), free_port()]
    (tmp_path / "pebble.json").write_text(
        json.dumps({
            "pebble": {
                "listenAddress": f"127.0.0.1:{ports[0]}", "managementListenAddress": f"127.0.0.1:{ports[1]}",
                "certificate": str(certificate), "privateKey": str(key), "httpPort": 5002, "tlsPort": 5001,
                "profiles": {"default": {"description": "for tests", "validityPeriod": 7776000}},
            }
        })
    )  # fmt: skip
    text = corefile(authority, f"{NAME} *.{NAME}").replace(authority.url, f"https://localhost:{ports[0]}/dir")
    text = text.replace("storage certificates", "storage certificates\nca_root ca.crt")
    server = started(tmp_path, authority, text)
    command = [pebble, "-config", "pebble.json", "-dnsserver", f"127.0.0.1:{server.port}", "-strict"]
    with (tmp_path / "pebble.log").open("wb") as output:
        environ = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "5"}
        process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=output, stderr=output)
    try:
        wait_until(lambda: "Listening on" in (tmp_path / "pebble.log").read_text())
        with server:
            context = bare_client_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            wait_until(lambda: shown(server, context), 30, (tmp_path / "pebble.log").read_text())
            names = x509.load_der_x509_certificate(shown(server, context)).extensions
            found = names.get_extension_for_class(x509.SubjectAlternativeName).value
            assert sorted(found.get_values_for_type(x509.DNSName)) == sorted([NAME, f"*.{NAME}"])
    finally:
        process.kill()
        process.wait()


# Without a server


def test_when_it_is_tried_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Twice as late each time, at most every six hours; once it is there, when two thirds of its time are over."""
    from fastdns.plugins.tls import managing

    now = 1000.0
    monkeypatch.setattr(managing.time, "monotonic", lambda: now)
    monkeypatch.setattr(managing.time, "time", lambda: 5000.0)
    told: list[dict[str, object]] = [{"error": "no"}] * 12
    told += [{"ordered": True, "not_after": 9000.0, "renew_at": 5300.0}]
    told += [{"ordered": False, "not_after": 9e9, "renew_at": 8e9}]
    told += [{"ordered": False, "not_after": 9.0, "renew_at": 4.0}]

    async def in_child(title: str, call: object, **options: object) -> bytes:
        if len(told) == 15:
            told.pop(0)
            raise FastdnsError("no result")
        return json.dumps(told.pop(0)).encode()

    async def main() -> list[float]:
        keeping = managing.Managing(in_child)
        keeping.serves([Acme((NAME,))])
        [one] = keeping.certificates.values()
        found = []
        while told:
            await keeping.keep(one)
            found.append(one.due_s - now)
        assert keeping.orders == {"failed": 12, "obtained": 1}
        keeping.serves([Acme((NAME,))])
        assert one.due_s == now and [*keeping.certificates.values()] == [one]
        keeping.serves([])
        assert not keeping.certificates
        return found

    with caplog.at_level("INFO"):
        found = asyncio.run(main())
    six_hours = 6 * 3600.0
    assert found[:8] == [120.0 * 2**number for number in range(8)] and found[8:12] == [six_hours] * 4
    assert found[12:] == [300.0, 12 * 3600.0, 120.0]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO", "INFO", "INFO"]


@pytest.mark.parametrize(
    ("texts", "domains"),
    [
        (["Dns.Example.Org."], ("dns.example.org",)),
        (["a.example", "A.example", "*.a.example"], ("a.example", "*.a.example")),
        (["bücher.example"], ("xn--bcher-kva.example",)),
        (["xn--bcher-kva.example"], ("xn--bcher-kva.example",)),
        (["localhost"], ("localhost",)),
    ],
)
def test_domains(texts: list[str], domains: tuple[str, ...]) -> None:
    assert to_domains(texts) == domains


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "*", "*.", "a.*.example", "**.example", "192.0.2.1", "*.192.0.2.1", "::1", "a..example"),
        *("-a.example", "a-.example", "ab--c.example", "a_b.example", "a b.example", "x" * 64 + ".example"),
        ("a" * 60 + ".") * 4 + "ex",
    ],
)
def test_what_is_no_domain(text: str) -> None:
    with pytest.raises(ValueError, match="invalid ACME domain"):
        to_domains([text])


@pytest.mark.parametrize(
    "text", ["192.0.2.1", "192.0.2.1:", ":53", "::1:53", "a:0", "a:65536", "a:x", "[::1]", "[]:5"]
)
def test_what_is_no_resolver(text: str) -> None:
    with pytest.raises(ValueError, match="invalid ACME resolver"):
        host_port(text)


def test_places_of_files_are_those_of_coredns() -> None:
    acme = Acme((NAME,), LETS_ENCRYPT, "/var/acme", "Host+Master@Example.org")
    storage = Storage(acme)
    directory = "acme-v02.api.letsencrypt.org-directory"
    assert str(storage.certificate) == f"/var/acme/certificates/{directory}/{NAME}/{NAME}.crt"
    user = f"/var/acme/acme/{directory}/users/host_plus_master@example.org/host_plus_master"
    assert (str(storage.account_key), str(storage.account)) == (f"{user}.key", f"{user}.json")
    nobody = Storage(Acme((NAME,), LETS_ENCRYPT, "/var/acme"))
    assert str(nobody.account_key) == f"/var/acme/acme/{directory}/users/default/default.key"
    assert directory_of("https://ca.example:8443/a/b/") == "ca.example:8443-a-b"
    assert name_of(("*.example.org",)) == "wildcard_.example.org"
    assert name_of(("b.example", "a.example")) == name_of(("a.example", "b.example")) != name_of(("a.example",))
    assert safe("../../etc/passwd") == "etcpasswd"


OPTIONS = "acme A.example b.example\nemail a@b.example\nca http://ca.example/d\n"
OPTIONS += "storage s\nca_root r.pem\nresolver x:1"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("acme a.example", Acme(("a.example",), LETS_ENCRYPT, "/r/.coredns/acme")),
        (
            OPTIONS,
            Acme(("a.example", "b.example"), "http://ca.example/d", "/r/s", "a@b.example", "/r/r.pem", "x:1"),
        ),
    ],
)
def test_options(options: str, expected: Acme) -> None:
    config = load(f"tls://. {{\nroot /r\ntls {{\n{options}\n}}\n}}\n").blocks[0].plugins["tls"]
    assert config.acme == expected
    assert config.files.obtained and config.files.certificate.startswith(expected.storage)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("tls", "ACME requires at least one domain"),
        ("tls {\nemail a@b.example\n}", "ACME requires at least one domain"),
        ("tls {\nacme\n}", "expected at least one argument"),
        ("tls {\nacme 192.0.2.1\n}", "invalid ACME domain '192.0.2.1'"),
        ("tls {\nacme a.example\nacme b.example\n}", "ACME option 'acme' can only be specified once"),
        ("tls {\nacme a.example\nca ftp://x\n}", "invalid ACME CA URL 'ftp://x'"),
        ("tls {\nacme a.example\nca https://\n}", "invalid ACME CA URL 'https://'"),
        ("tls {\nacme a.example\nca https://x:y/\n}", "invalid ACME CA URL"),
        ("tls {\nacme a.example\nresolver 192.0.2.1\n}", "invalid ACME resolver '192.0.2.1'"),
        ("tls {\nacme a.example\nemail\n}", "expected one argument"),
        ("tls {\nacme a.example\nclient_auth request\n}", "unknown option 'client_auth'"),
        ("tls {\nacme " + " ".join(f"a{number}.example" for number in range(101)) + "\n}", "100 at most"),
    ],
)
def test_errors(text: str, error: str) -> None:
    with pytest.raises(CorefileError) as caught:
        load(f"tls://. {{\n{text}\n}}\n")
    assert error in str(caught.value) and caught.value.line >= 2


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("acme b.example\nca_root nothing.pem", "nothing.pem: certificates in PEM format expected"),
        ("acme b.example\nca_root Corefile", "Corefile: certificates in PEM format expected"),
        ("acme a.example\nemail other@b.example", "ACME domain 'a.example' is configured with conflicting options"),
    ],
)
def test_what_is_looked_at_before_a_start(tmp_path: Path, text: str, error: str) -> None:
    first = "tls://a:OTHER_PORT {\nbind 127.0.0.1\ntls {\nacme a.example\nca http://127.0.0.1:1/\n}\nwhoami\n}\n"
    second = f"tls://b:OTHER_PORT {{\nbind 127.0.0.1\ntls {{\n{text}\nca http://127.0.0.1:1/\n}}\nwhoami\n}}\n"
    with Server(tmp_path, first + second, wait=False) as server:
        assert server.process.wait(20) == 1
        assert error in server.log


@pytest.mark.parametrize(("blocks", "warned"), [("", True), ("\n.:1053 {\nwhoami\n}", False)])
def test_nobody_could_ask_for_the_challenge(blocks: str, warned: bool) -> None:
    text = f"tls://. {{\ntls {{\nacme a.example\nca http://127.0.0.1:1/\n}}\nwhoami\n}}{blocks}"
    look = Check(load(text), SkippedLines(), Mistakes())
    load_plugin("tls").check(look)
    assert [warning.split(":")[0] for warning in look.warnings] == ["plugin/tls"] * warned
