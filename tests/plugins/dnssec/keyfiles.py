"""Keys in BIND's format, made for tests."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.dnssec
import dns.rdtypes.ANY.DNSKEY
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

RSASHA1, RSASHA256, RSASHA512, P256, P384, ED25519 = 5, 8, 10, 13, 14, 15
ZSK, KSK = 256, 257


@dataclass(frozen=True)
class KeyFiles:
    """base: of the two files, without their ending. dnskey: what is in the public one."""

    base: Path
    zone: str
    dnskey: dns.rdtypes.ANY.DNSKEY.DNSKEY

    @property
    def tag(self) -> int:
        return dns.dnssec.key_id(self.dnskey)

    @property
    def anchor(self) -> str:
        """A trust anchor, as delv reads it."""
        flags, protocol, algorithm, *key = self.dnskey.to_text().split()
        return f'trust-anchors {{ {self.zone} static-key {flags} {protocol} {algorithm} "{"".join(key)}"; }};\n'


def number(value: int) -> str:
    return base64.b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()


def generated(algorithm: int, bits: int) -> tuple[Any, list[str]]:
    """A private key, and its lines."""
    private: Any
    if algorithm in (RSASHA1, RSASHA256, RSASHA512):
        private = rsa.generate_private_key(65537, bits)
        n = private.private_numbers()
        values = {
            "Modulus": n.public_numbers.n, "PublicExponent": n.public_numbers.e, "PrivateExponent": n.d,
            "Prime1": n.p, "Prime2": n.q, "Exponent1": n.dmp1, "Exponent2": n.dmq1, "Coefficient": n.iqmp,
        }  # fmt: skip
        return private, [f"{name}: {number(value)}" for name, value in values.items()]
    if algorithm == ED25519:
        private = ed25519.Ed25519PrivateKey.generate()
        raw = private.private_bytes_raw()
    else:
        private = ec.generate_private_key(ec.SECP256R1() if algorithm == P256 else ec.SECP384R1())
        raw = private.private_numbers().private_value.to_bytes(32 if algorithm == P256 else 48, "big")
    return private, [f"PrivateKey: {base64.b64encode(raw).decode()}"]


def make_key(
    folder: Path, zone: str, algorithm: int = P256, flags: int = ZSK, bits: int = 2048, ttl: str = ""
) -> KeyFiles:
    """Write the two files of a new key, as dnssec-keygen does."""
    private, lines = generated(algorithm, bits)
    dnskey = dns.dnssec.make_dnskey(private.public_key(), algorithm, flags)
    base = folder / f"K{zone}+{algorithm:03}+{dns.dnssec.key_id(dnskey):05}"
    Path(f"{base}.key").write_text(f"; a comment\n{zone} {ttl} IN DNSKEY {dnskey.to_text()}\n")
    head = ["Private-key-format: v1.3", f"Algorithm: {algorithm} (NAME)"]
    Path(f"{base}.private").write_text("\n".join([*head, *lines, "Created: 20260101000000", ""]))
    return KeyFiles(base, zone, dnskey)
