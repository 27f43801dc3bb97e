"""A web configuration file: what of it is served, and that nothing else of it is ignored."""

from __future__ import annotations

import logging
import os
import ssl
import urllib.request
from pathlib import Path

import pytest

from fastdns.errors import FastdnsError
from fastdns.plugins.prometheus.webconfig import TlsFromFile, load_tls
from tests.certificates import write_certificate
from tests.support import Server

GOOD = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
VERIFY = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clientcert.pem\n"


def test_metrics_over_tls(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    (tmp_path / "web.yaml").write_text(GOOD)
    corefile = ".:DNS_PORT {\n    prometheus localhost:METRICS_PORT {\n        tls web.yaml\n    }\n    whoami\n}\n"
    with Server(tmp_path, corefile, workers=1) as server:
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        url = f"https://localhost:{server.ports['METRICS_PORT']}/metrics"
        with urllib.request.urlopen(url, context=context) as answer:
            assert b"coredns_build_info{" in answer.read()
        assert server.http("/metrics")[0] in (0, 400)
        # The certificate is renewed: without a reload, and not before its key fits.
        old = (tmp_path / "key.pem").read_bytes()
        write_certificate(tmp_path)
        new = (tmp_path / "key.pem").read_bytes()
        (tmp_path / "key.pem").write_bytes(old)
        old_context, context = context, ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with urllib.request.urlopen(url, context=old_context) as answer:
            assert answer.status == 200
        (tmp_path / "key.pem").write_bytes(new)
        with urllib.request.urlopen(url, context=context) as answer:
            assert answer.status == 200
        with pytest.raises(OSError, match="certificate verify failed"):
            urllib.request.urlopen(url, context=old_context)
        # Clients have to show a certificate from now on.
        write_certificate(tmp_path, "client")
        (tmp_path / "web.yaml").write_text(GOOD + VERIFY)
        with pytest.raises(OSError):
            urllib.request.urlopen(url, context=context)
        context.load_cert_chain(tmp_path / "clientcert.pem", tmp_path / "clientkey.pem")
        with urllib.request.urlopen(url, context=context) as answer:
            assert answer.status == 200


def test_a_file_that_cannot_be_served_stops_the_start(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    (tmp_path / "web.yaml").write_text(GOOD + "basic_auth_users: {scraper: $2y$10$x}\n")
    corefile = ".:DNS_PORT {\n    prometheus localhost:METRICS_PORT {\n        tls web.yaml\n    }\n    whoami\n}\n"
    with Server(tmp_path, corefile, workers=1, wait=False) as server:
        assert server.process.wait(20) == 1
        assert "web.yaml: basic_auth_users is not served: " in server.log


# ------------------------------------------------------------------------------------------------ handshakes


def shake_hands(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> str:
    """One handshake in memory: the version of TLS, or what the server does not like."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname="localhost")
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        done = True
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError as error:
                return error.reason or str(error)
        if done:
            return str(server.version())
    raise AssertionError("no end")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Certificates of the server, of a client that its client_ca_file has signed, and of another one."""
    for name in ("", "client", "other"):
        write_certificate(tmp_path, name)
    return tmp_path


def client_context(folder: Path, certificate: str, version: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    if certificate:
        context.load_cert_chain(folder / f"{certificate}cert.pem", folder / f"{certificate}key.pem")
    if version:
        context.maximum_version = context.minimum_version = ssl.TLSVersion[version]
    return context


NO_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE"
NOT_VERIFIED = "CERTIFICATE_VERIFY_FAILED"
CA = "  client_ca_file: clientcert.pem\n"


@pytest.mark.parametrize(
    ("options", "without", "with_one", "with_another"),
    [
        pytest.param("", "TLSv1.3", "TLSv1.3", "TLSv1.3", id="by default"),
        pytest.param("  client_auth_type: NoClientCert\n", "TLSv1.3", "TLSv1.3", "TLSv1.3", id="NoClientCert"),
        pytest.param("  client_auth_type: ''\n", "TLSv1.3", "TLSv1.3", "TLSv1.3", id="empty"),
        pytest.param(
            "  client_auth_type: VerifyClientCertIfGiven\n" + CA, "TLSv1.3", "TLSv1.3", NOT_VERIFIED, id="if given"
        ),
        pytest.param(
            "  client_auth_type: RequireAndVerifyClientCert\n" + CA, NO_CERTIFICATE, "TLSv1.3", NOT_VERIFIED,
            id="required",
        ),
    ],
)  # fmt: skip
def test_which_clients_are_let_in(
    folder: Path, options: str, without: str, with_one: str, with_another: str
) -> None:
    (folder / "web.yaml").write_text(GOOD + options)
    context = TlsFromFile(str(folder / "web.yaml"))
    outcomes = [shake_hands(context, client_context(folder, who)) for who in ("", "client", "other")]
    assert outcomes == [without, with_one, with_another]


@pytest.mark.parametrize(
    ("options", "with_12", "with_13"),
    [
        ("", "TLSv1.2", "TLSv1.3"),
        ("  min_version: TLS13\n", "UNSUPPORTED_PROTOCOL", "TLSv1.3"),
        ("  max_version: TLS12\n", "TLSv1.2", "UNSUPPORTED_PROTOCOL"),
        ("http_server_config:\n  http2: false\n", "TLSv1.2", "TLSv1.3"),
    ],
    ids=str,
)
def test_versions(folder: Path, options: str, with_12: str, with_13: str) -> None:
    (folder / "web.yaml").write_text(GOOD + options)
    context = TlsFromFile(str(folder / "web.yaml"))
    assert shake_hands(context, client_context(folder, "", "TLSv1_2")) == with_12
    assert shake_hands(context, client_context(folder, "", "TLSv1_3")) == with_13


def test_a_change_of_who_is_let_in_needs_no_reload(folder: Path) -> None:
    """The certificate was renewed, the policy was not."""
    path = folder / "web.yaml"
    path.write_text(GOOD)
    context = TlsFromFile(str(path))
    assert shake_hands(context, client_context(folder, "")) == "TLSv1.3"
    rewrite(path, GOOD + VERIFY)
    assert shake_hands(context, client_context(folder, "")) == NO_CERTIFICATE
    rewrite(folder / "clientcert.pem", (folder / "othercert.pem").read_text())
    assert shake_hands(context, client_context(folder, "other")) == "TLSv1.3"


def test_a_change_that_is_not_served_is_logged_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = folder / "web.yaml"
    path.write_text(GOOD)
    context = TlsFromFile(str(path))
    rewrite(path, GOOD + "rate_limit: {interval: 1s}\n")
    for _ in range(3):
        assert shake_hands(context, client_context(folder, "")) == "TLSv1.3"
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert f"{path}: rate_limit is not served: " in record.getMessage()
    path.unlink()
    assert shake_hands(context, client_context(folder, "")) == "TLSv1.3"
    assert "No such file" in caplog.records[1].getMessage()
    rewrite(path, GOOD + VERIFY)
    assert shake_hands(context, client_context(folder, "")) == NO_CERTIFICATE
    assert len(caplog.records) == 2


def rewrite(path: Path, text: str) -> None:
    """Other content, seen as changed however coarse the clock of the file system is."""
    path.write_text(text)
    now = path.stat().st_mtime_ns
    os.utime(path, ns=(now, now + 10**9))


# ---------------------------------------------------------------------------------------------------- errors


def auth(value: str) -> str:
    return f"{GOOD}  client_auth_type: {value}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(None, "a file of YAML expected: FileNotFoundError: ", id="no such file"),
        pytest.param("a: [", "a file of YAML expected: ParserError: ", id="no YAML"),
        pytest.param("a: \udcff", "a file of YAML expected: UnicodeDecodeError: ", id="no UTF-8"),
        pytest.param("", "tls_server_config with cert_file and key_file expected", id="empty"),
        pytest.param("- 1", "tls_server_config with cert_file and key_file expected", id="a list"),
        pytest.param("other: 1", "tls_server_config with cert_file and key_file expected", id="something else"),
        pytest.param("tls_server_config: 1", "tls_server_config with cert_file", id="no section"),
        # What would be ignored.
        pytest.param(GOOD + "basic_auth_users: {}", "basic_auth_users is not served: let ", id="users"),
        pytest.param(
            GOOD + "rate_limit: {interval: 1s}", "rate_limit is not served: only tls_server_config, ", id="a limit"
        ),
        pytest.param(
            GOOD + "http_server_config: {headers: {X-Frame-Options: deny}}",
            "http_server_config.headers is not served: only http2",
            id="headers",
        ),
        pytest.param(
            GOOD + "http_server_config: {http2: true}", "http_server_config.http2: only false is ", id="HTTP/2"
        ),
        pytest.param(GOOD + "http_server_config: 1", "http_server_config: keys and values ", id="no options"),
        pytest.param(GOOD + "  cert: PEM", "tls_server_config.cert is not served: use cert_file", id="inline"),
        pytest.param(GOOD + "  key: PEM", "tls_server_config.key is not served: use key_file", id="inline key"),
        pytest.param(GOOD + "  client_ca: PEM", "client_ca is not served: use client_ca_file", id="inline CA"),
        pytest.param(GOOD + "  client_allowed_sans: [a]", "client_allowed_sans is not served: use ", id="SANs"),
        pytest.param(GOOD + "  cipher_suites: [a]", "cipher_suites is not served: use min_version", id="ciphers"),
        pytest.param(GOOD + "  prefer_server_cipher_suites: true", "suites is not served: only ", id="preference"),
        pytest.param(GOOD + "  curve_preferences: [a]", "curve_preferences is not served: only ", id="curves"),
        pytest.param(GOOD + "  certfile: a", "tls_server_config.certfile is not served: only cert_", id="a typo"),
        pytest.param(GOOD + "  3: b", "tls_server_config.3 is not served: only cert_file, ", id="an odd key"),
        # Files.
        pytest.param("tls_server_config:\n  cert_file: cert.pem\n", "key_file: the path of a PEM ", id="no key"),
        pytest.param(GOOD.replace("cert.pem", "''"), "cert_file: the path of a PEM file expected", id="no name"),
        pytest.param(GOOD.replace("cert.pem", "3"), "cert_file: the path of a PEM file expected, got 3", id="3"),
        pytest.param(GOOD.replace("cert.pem", "x.pem"), "cert_file: FileNotFoundError: ", id="no certificate"),
        pytest.param(GOOD.replace("key.pem", "x.pem"), "key_file: FileNotFoundError: ", id="no key file"),
        pytest.param(GOOD.replace("cert.pem", "key.pem"), "cert_file: cannot be used with key", id="a key for it"),
        pytest.param(GOOD.replace("key.pem", "otherkey.pem"), "cert_file: cannot be used with", id="another's key"),
        pytest.param(GOOD + "  client_ca_file: x.pem", "client_ca_file: FileNotFoundError: ", id="no CA file"),
        pytest.param(
            GOOD + VERIFY.replace("clientcert", "key"), "client_ca_file: cannot be used: ", id="a key for a CA"
        ),
        # Clients.
        pytest.param(auth("X"), "client_auth_type: NoClientCert, VerifyClientCertIfGiven, ", id="a wrong word"),
        pytest.param(auth("[X]"), "RequireAndVerifyClientCert expected, got ['X']", id="a list of words"),
        pytest.param(
            auth("RequireAnyClientCert"), "RequireAnyClientCert is not served: use RequireAndVerify", id="any"
        ),
        pytest.param(
            auth("RequireAnyClientCert") + CA, "RequireAnyClientCert is not served: use Require", id="any with a CA"
        ),
        pytest.param(auth("RequireClientCert"), "RequireClientCert is not served: use Require", id="its old name"),
        pytest.param(auth("RequestClientCert"), "RequestClientCert is not served: use NoClientCert", id="request"),
        pytest.param(auth("RequireAndVerifyClientCert"), "client_ca_file: goes with ", id="by which CA?"),
        pytest.param(auth("VerifyClientCertIfGiven"), "client_ca_file: goes with ", id="if given, by which CA?"),
        pytest.param(GOOD + CA, "client_ca_file: goes with client_auth_type Verify", id="a CA for nobody"),
        # Versions.
        pytest.param(GOOD + "  min_version: TLS10", "min_version: TLS12 or TLS13 expected, got 'TLS10'", id="old"),
        pytest.param(GOOD + "  max_version: 1.3", "max_version: TLS12 or TLS13 expected, got 1.3", id="a number"),
        pytest.param(
            GOOD + "  min_version: TLS13\n  max_version: TLS12", "min_version: max_version is below", id="none left"
        ),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(folder: Path, text: str | None, says: str) -> None:
    path = folder / "web.yaml"
    if text is not None:
        path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(FastdnsError) as caught:
        load_tls(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
