"""A certificate authority of the test's own: a server certificate for loopback, and client certificates."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fastdns.tls import server_context

_DAY = datetime.timedelta(days=1)
_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


class Authority:
    """Issues certificates into a directory; ``ca_file`` is its own.

    key_identifiers: whether certificates have them; those of some real clusters do not.
    """

    def __init__(
        self, directory: Path, name: str = "kubernetes-test-ca", *, key_identifiers: bool = True
    ) -> None:
        self._key_identifiers = key_identifiers
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_usage(sign_certificates=True), critical=True)
        self.ca_file = directory / "ca.crt"
        self.ca_file.write_bytes(self._sign(builder))

    def server(self, host: str = "127.0.0.1") -> tuple[Path, Path]:
        """Certificate and key for an address and for loopback."""
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in _NAMES]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in sorted({host, "127.0.0.1", "::1"})]
        return self._issue("kube-apiserver", "server", ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, user: str, groups: tuple[str, ...] = ()) -> tuple[Path, Path]:
        """Certificate and key by which a user is known."""
        return self._issue(user, f"client-{user}".replace(":", "-"), ExtendedKeyUsageOID.CLIENT_AUTH, [], groups)

    def server_context(self, host: str = "127.0.0.1") -> ssl.SSLContext:
        """Server side of TLS; clients may show a certificate of this authority."""
        context = server_context()
        context.load_cert_chain(*self.server(host))
        context.load_verify_locations(self.ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def _issue(
        self,
        name: str,
        file: str,
        purpose: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
        groups: tuple[str, ...] = (),
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
        builder = self._builder(x509.Name(subject), key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(sign_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate_file, key_file = self.directory / f"{file}.crt", self.directory / f"{file}.key"
        certificate_file.write_bytes(self._sign(builder))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate_file, key_file

    def _builder(self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        ours = self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 30 * _DAY)
        )
        if not self._key_identifiers:
            return builder
        return builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False
        ).add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ours), critical=False)

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
