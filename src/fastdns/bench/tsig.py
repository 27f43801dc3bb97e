"""The key of ``-y [ALGORITHM:]NAME:SECRET``, in dnsperf's form."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from fastdns.dns.names import wire_name

# dnsperf's words and the names of their digests; and the names that RFC 8945 section 6 gives the algorithms.
DIGESTS = {f"hmac-{digest}": digest for digest in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")}
NAMES = {"hmac-md5": "hmac-md5.sig-alg.reg.int"}
DEFAULT = "hmac-md5"


@dataclass(frozen=True, slots=True)
class TsigKey:
    """A key. name: in wire form and lower case, as it is signed."""

    algorithm: str
    name: bytes
    secret: bytes

    @property
    def digest(self) -> str:
        """The digest's name."""
        return DIGESTS[self.algorithm]

    @property
    def algorithm_name(self) -> bytes:
        """The algorithm's domain name in wire form."""
        return wire_name(NAMES.get(self.algorithm, self.algorithm))

    @property
    def mac_bytes(self) -> int:
        """The length of a signature."""
        return hashlib.new(self.digest, usedforsecurity=False).digest_size


def parse_key(text: str) -> TsigKey:
    """A key. Raises ValueError."""
    words = text.split(":")
    if len(words) == 2:
        words.insert(0, DEFAULT)
    if len(words) != 3 or not words[1]:
        raise ValueError(f"[ALGORITHM:]NAME:SECRET expected, got {text!r}")
    algorithm = words[0].lower()
    if algorithm not in DIGESTS:
        raise ValueError(f"one of {', '.join(DIGESTS)} expected, got {words[0]!r}")
    try:
        name = wire_name(words[1])
    except UnicodeError:
        raise ValueError(f"{words[1]!r} is not a domain name") from None
    try:
        secret = base64.b64decode(words[2], validate=True)
    except binascii.Error:
        secret = b""
    if not secret:
        raise ValueError(f"a secret in base64 expected, got {words[2]!r}")
    return TsigKey(algorithm, name, secret)
