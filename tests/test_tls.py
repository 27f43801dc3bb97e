"""What is checked of certificates; newer versions of Python change it (3.13: VERIFY_X509_STRICT)."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fastdns import tls
from fastdns.bench.apiserver import ApiServer
from fastdns.bench.apiserver.tls import Authority
from tests.plugins.kubernetes.api.support import running, until_equal

SOURCES = Path(tls.__file__).parent


@pytest.fixture(autouse=True)
def newest_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python 3.13 has by default, under whatever version this runs."""
    create = ssl.create_default_context

    def create_strict(*arguments: Any, **more: Any) -> ssl.SSLContext:
        context = create(*arguments, **more)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", create_strict)


@pytest.fixture
def without_identifiers(tmp_path: Path) -> Authority:
    return Authority(tmp_path, key_identifiers=False)


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str = "127.0.0.1") -> None:
    """A handshake in memory. Raises what the client makes of the server's certificate."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(back, there, server_hostname=name)
    theirs = server.wrap_bio(there, back, server_side=True)
    done: set[str] = set()
    for _ in range(10):
        for who, end in (("client", ours), ("server", theirs)):
            if who not in done:
                try:
                    end.do_handshake()
                    done.add(who)
                except ssl.SSLWantReadError:
                    pass
        if len(done) == 2:
            return
    raise AssertionError("no end of the handshake")


def test_a_chain_without_key_identifiers_is_trusted(without_identifiers: Authority) -> None:
    """As clusters of EKS have it: on Python 3.13 the API server could not be reached."""
    server = without_identifiers.server_context()
    strict = ssl.create_default_context(cafile=str(without_identifiers.ca_file))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"Missing (Authority|Subject) Key Identifier"):
        shake_hands(strict, server)
    shake_hands(tls.client_context(cafile=str(without_identifiers.ca_file)), server)
    shake_hands(tls.client_context(cadata=without_identifiers.ca_file.read_text()), server)
    bare = tls.bare_client_context()
    bare.load_verify_locations(without_identifiers.ca_file)
    shake_hands(bare, server)


def test_another_name_is_refused(without_identifiers: Authority) -> None:
    context = tls.client_context(cafile=str(without_identifiers.ca_file))
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(context, without_identifiers.server_context(), "other.example")


def test_another_authority_is_refused(without_identifiers: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", key_identifiers=False)
    context = tls.client_context(cafile=str(other.ca_file))
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        shake_hands(context, without_identifiers.server_context())
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        shake_hands(tls.client_context(), without_identifiers.server_context())


def chain(folder: Path, **days: int) -> tuple[Path, ssl.SSLContext]:
    """The file of an intermediate authority, and a server with a certificate of it; days: until each one ends."""
    now = datetime.datetime.now(datetime.UTC)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "middle", "leaf")}

    def issue(subject: str, issuer: str) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
            .public_key(keys[subject].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now + datetime.timedelta(days=days.get(subject, 9)))
            .add_extension(x509.BasicConstraints(ca=subject != "leaf", path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("api.test")]), critical=False)
        )
        return builder.sign(keys[issuer], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, leaf, key = folder / "middle.crt", folder / "leaf.crt", folder / "leaf.key"
    authority.write_bytes(issue("middle", "root"))
    leaf.write_bytes(issue("leaf", "middle"))
    key.write_bytes(
        keys["leaf"].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = tls.server_context()
    server.load_cert_chain(leaf, key)
    return authority, server


def test_an_authority_in_mid_chain_is_trusted(tmp_path: Path) -> None:
    """As Go and Python 3.13 do, and Python before it does not."""
    authority, server = chain(tmp_path)
    shake_hands(tls.client_context(cafile=str(authority)), server, "api.test")


@pytest.mark.parametrize("which", ["leaf", "middle"])
def test_a_certificate_that_has_expired_is_refused(tmp_path: Path, which: str) -> None:
    authority, server = chain(tmp_path, **{which: -1})
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake_hands(tls.client_context(cafile=str(authority)), server, "api.test")


@pytest.mark.parametrize("make", [tls.client_context, tls.bare_client_context, tls.server_context])
def test_flags_are_the_same_under_every_version(make: Callable[[], ssl.SSLContext]) -> None:
    context = make()
    assert context.verify_flags & ssl.VERIFY_X509_STRICT == 0
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    if make is not tls.server_context:
        assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def modules() -> Iterator[Path]:
    return (path for path in SOURCES.rglob("*.py") if path != Path(tls.__file__))


def test_every_context_is_made_here() -> None:
    """One that is made elsewhere has whatever the version of Python has for default."""
    makes = ("create_default_context(", "ssl.SSLContext(", "create_stdlib_context(")
    assert len(list(modules())) > 50
    assert [str(path) for path in modules() if any(made in path.read_text() for made in makes)] == []


async def test_an_api_server_without_key_identifiers_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    async with (
        ApiServer(directory=folder, key_identifiers=False) as server,
        running(server, tmp_path) as run,
    ):
        await until_equal(server, run.sink)
