"""Certificates for servers and clients on the loopback: right, wrong, expired, from elsewhere."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    """Issues certificates into a directory; ``ca`` is its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name("forward-test-ca")
        now = datetime.datetime.now(datetime.UTC)
        builder = _builder(self.name, self.name, self.key.public_key(), now - DAY, now + 30 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.ca = directory / "ca.crt"
        self.ca.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(
        self, file: str, names: tuple[str, ...] = ("dns.example", "127.0.0.1"), *, days: int = 30, own: bool = False
    ) -> tuple[Path, Path]:
        """Certificate and key for names and addresses. days: until it expires. own: signed by itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        subject = _name(file)
        issuer = subject if own else self.name
        builder = _builder(subject, issuer, key.public_key(), now - 60 * DAY, now + days * DAY)
        alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
        certificate, key_file = self.directory / f"{file}.crt", self.directory / f"{file}.key"
        signed = builder.sign(key if own else self.key, hashes.SHA256())
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(_pem(key))
        return certificate, key_file

    def put(self, folder: Path, file: str = "server", to: str = "server") -> None:
        """Have a certificate and its key stand in a folder under another name. Each file is whole at all times."""
        for end in ("key", "crt"):
            beside = folder / f"beside.{end}"
            shutil.copy(self.directory / f"{file}.{end}", beside)
            beside.replace(folder / f"{to}.{end}")


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begins: datetime.datetime,
    ends: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
