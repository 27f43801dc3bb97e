"""DNSSEC keys in BIND's format: a DNSKEY record, and the private key as ``Name: value`` lines.

dnspython knows what the algorithms of DNSSEC are and how their signatures look; ``cryptography`` signs. It is an
optional package, and is imported where a key is read.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastdns.errors import FastdnsError

if TYPE_CHECKING:
    from dns.dnssecalgs.base import GenericPrivateKey
    from dns.name import Name
    from dns.rdtypes.ANY.DNSKEY import DNSKEY

MAX_FILE_BYTES = 65536
# RFC 4034 section 2.1.1.
ZONE_KEY = 0x0100
SEP = 0x0001
DEFAULT_TTL_S = 3600
RSA_ALGORITHMS = (5, 7, 8, 10)
ECDSA_BYTES = {13: 32, 14: 48}
ED25519 = 15
RSA_FIELDS = (
    "Prime1", "Prime2", "PrivateExponent", "Exponent1", "Exponent2", "Coefficient", "PublicExponent", "Modulus",
)  # fmt: skip
MISSING = "keys need the package cryptography; pip install 'fastdns[dnssec]' installs it"


@dataclass(frozen=True)
class Key:
    """One key. zone: its owner. dnskey: the public half. tag: RFC 4034 appendix B. signature_bytes: of each
    signature that it makes."""

    zone: Name
    ttl_s: int
    dnskey: DNSKEY
    tag: int
    signature_bytes: int
    private: GenericPrivateKey = field(compare=False, repr=False)

    @property
    def is_sep(self) -> bool:
        """Whether it is a key-signing key (RFC 4034 section 2.1.1)."""
        return bool(int(self.dnskey.flags) & SEP)


def file_base(name: str) -> str:
    """The name of a key's files, without the ending that it may have."""
    return name.removesuffix(".key").removesuffix(".private")


def load_files(base: str) -> Key:
    """The key in two files. base: their name without ``.key`` and ``.private``. Raises FastdnsError."""
    public, private = (read_text(base + suffix) for suffix in (".key", ".private"))
    return to_key(public, private, base)


def read_text(path: str) -> str:
    """A file. Raises FastdnsError."""
    try:
        # A pipe would be waited for.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise FastdnsError(f"open {path}: expected a regular file")
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise FastdnsError(f"open {path}: {why}") from error
    if len(data) > MAX_FILE_BYTES:
        raise FastdnsError(f"{path} has more than {MAX_FILE_BYTES} bytes: it is no key")
    return data.decode("utf-8", "replace")


def to_key(public: str, private: str, name: str) -> Key:
    """A key of its two halves. name: for errors. Raises FastdnsError."""
    import dns.exception
    import dns.rdatatype
    import dns.zonefile

    try:
        import dns.dnssec
        from dns.dnssecalgs import get_algorithm_cls_from_dnskey
    except ImportError as error:
        raise FastdnsError(MISSING) from error
    # One line with $GENERATE may say more than a machine has room for.
    text = "" if "$GENERATE" in public.upper() else public
    try:
        rrsets = dns.zonefile.read_rrsets(text, rdclass=None, default_ttl=DEFAULT_TTL_S, relativize=False)
    except (dns.exception.DNSException, ValueError) as error:
        raise FastdnsError(f"{name}.key: {error}") from error
    found = [(rrset, rdata) for rrset in rrsets if rrset.rdtype == dns.rdatatype.DNSKEY for rdata in rrset]
    if len(found) != 1:
        raise FastdnsError(f"{name}.key: no public key found; expected one DNSKEY record")
    rrset, dnskey = found[0]
    if not dnskey.flags & ZONE_KEY:
        raise FastdnsError(f"{name}.key: no zone key: no bit {ZONE_KEY} in its flags {int(dnskey.flags)}")
    try:
        made, signature_bytes = private_key(int(dnskey.algorithm), fields_of(private))
        own = get_algorithm_cls_from_dnskey(dnskey)(key=made)
        same = own.public_key().to_dnskey(flags=int(dnskey.flags)).key == dnskey.key
    except ImportError as error:
        raise FastdnsError(MISSING) from error
    except Exception as error:
        # A library may say anything of what is no key.
        raise FastdnsError(f"{name}.private: no private key found: {error!r:.200}") from error
    if not same:
        raise FastdnsError(f"{name}.private is not the private key of {name}.key")
    return Key(rrset.name, rrset.ttl, dnskey, dns.dnssec.key_id(dnskey), signature_bytes, own)


def fields_of(text: str) -> dict[str, str]:
    """The lines of a private key, by name."""
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith(";"))
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def private_key(algorithm: int, fields: dict[str, str]) -> tuple[object, int]:
    """The private key of ``cryptography``, and the size of its signatures. Raises ValueError, ImportError,
    KeyError."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    named = int(fields["Algorithm"].split()[0])
    if named != algorithm:
        raise ValueError(f"its algorithm is {named}, and the public key's {algorithm}")
    if algorithm in RSA_ALGORITHMS:
        p, q, d, dmp1, dmq1, iqmp, e, n = (number_of(fields, name) for name in RSA_FIELDS)
        numbers = rsa.RSAPrivateNumbers(p, q, d, dmp1, dmq1, iqmp, rsa.RSAPublicNumbers(e, n))
        return numbers.private_key(), (n.bit_length() + 7) // 8
    if algorithm in ECDSA_BYTES:
        curve = ec.SECP256R1() if ECDSA_BYTES[algorithm] == 32 else ec.SECP384R1()
        return ec.derive_private_key(number_of(fields, "PrivateKey"), curve), 2 * ECDSA_BYTES[algorithm]
    if algorithm == ED25519:
        return ed25519.Ed25519PrivateKey.from_private_bytes(bytes_of(fields, "PrivateKey")), 64
    raise ValueError(f"the algorithm {algorithm} is not supported; expected RSA, ECDSA or Ed25519")


def bytes_of(fields: dict[str, str], name: str) -> bytes:
    """A value in base64. Raises KeyError, ValueError."""
    try:
        return base64.b64decode(fields[name], validate=True)
    except binascii.Error as error:
        raise ValueError(f"{name}: {error}") from error


def number_of(fields: dict[str, str], name: str) -> int:
    """A number in base64. Raises KeyError, ValueError."""
    return int.from_bytes(bytes_of(fields, name), "big")
