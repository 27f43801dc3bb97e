"""Keys of a server block, and zone arguments: ``[scheme://]zone[:port]``, names and CIDR notation.

Names are fully qualified, lowercased presentation text (RFC 4343 compares ASCII letters only); CIDR notation
becomes the reverse zones that cover it (RFC 1035 section 3.5, RFC 3596 section 2.5).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from fastdns.transports.table import DEFAULT_SCHEME, SCHEMES

MAX_TEXT = 255
MAX_WIRE_BYTES = 255
MAX_LABEL_BYTES = 63

_CIDR = re.compile(r"[0-9a-fA-F.:]+/[0-9]{1,3}")
_PORT = re.compile(r"[+-]?[0-9]+")
_UNIT = re.compile(rb"\\([0-9]{3})|\\(.)|(\.)|([^\\.])", re.DOTALL)
# RFC 1035 section 2.3.1; reverse zones and the root are exempt.
_PREFERRED = re.compile(r"(?:[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+")
_LOWER = bytes(byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))


class KeyProblem(ValueError):
    """A zone or key that breaks a rule; str() is the rule. The caller knows the place."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its scheme, its zones (several where a CIDR was split) and its port, None if not said."""

    scheme: str
    zones: tuple[str, ...]
    port: int | None


def parse_key(text: str) -> Key:
    """Raises KeyProblem. An unknown scheme is no scheme: such a key is a zone of that very name."""
    scheme, rest = _split_scheme(text)
    zone, port = _split_port(rest)
    if len(zone.encode()) > MAX_TEXT:
        raise KeyProblem(f"the zone is too long: {len(zone.encode())} bytes, at most {MAX_TEXT}")
    name = normalize(zone)
    return Key(scheme, _reverse_zones(zone) or (name,), port)


def parse_zones(texts: Iterable[str]) -> tuple[str, ...]:
    """Zone arguments of a plugin, CIDRs expanded in place; scheme and port are dropped. Raises KeyProblem."""
    return tuple(zone for text in texts for zone in parse_key(text).zones)


def normalize(text: str) -> str:
    """The name fully qualified and lowercased; every byte outside printable ASCII as ``\\DDD``.

    Raises KeyProblem if it is not a domain name (RFC 1035 section 3.1).
    """
    if text == ".":
        return text
    labels = _labels(text)
    if not labels or b"" in labels:
        raise KeyProblem(f"{text!r} is not a valid domain name")
    if any(len(label) > MAX_LABEL_BYTES for label in labels):
        raise KeyProblem(f"{text!r} is not a valid domain name: a label is over {MAX_LABEL_BYTES} bytes")
    if sum(len(label) + 1 for label in labels) + 1 > MAX_WIRE_BYTES:
        raise KeyProblem(f"{text!r} is not a valid domain name: it is over {MAX_WIRE_BYTES} bytes")
    return "".join(_label_text(label.translate(_LOWER)) + "." for label in labels)


def is_reverse(zone: str) -> bool:
    """Whether a normalized zone lies in the reverse tree of IPv4 or IPv6."""
    return f".{zone}".endswith((".in-addr.arpa.", ".ip6.arpa."))


def is_below_reverse_root(zone: str) -> bool:
    """Whether a normalized zone lies in the reverse tree, below its two roots."""
    return zone.endswith((".in-addr.arpa.", ".ip6.arpa."))


def is_preferred(zone: str) -> bool:
    """Whether a normalized zone keeps to RFC 1035's preferred syntax, or need not."""
    return zone == "." or is_reverse(zone) or _PREFERRED.fullmatch(zone) is not None


def name_warnings(zone: str) -> list[str]:
    """The lines that CoreDNS prints before a zone with an unusual name. They are not log lines, as in CoreDNS."""
    spelled = zone.replace("\\", "\\\\").replace('"', '\\"')
    return [] if is_preferred(zone) else [f'Warning: Domain "{spelled}" does not follow RFC1035 preferred syntax']


def _split_scheme(text: str) -> tuple[str, str]:
    scheme, separator, rest = text.partition("://")
    return (scheme, rest) if separator and scheme in SCHEMES else (DEFAULT_SCHEME, text)


def _split_port(text: str) -> tuple[str, int | None]:
    # Whatever follows the last colon is the port if it is a number: a CIDR has its "/" between.
    zone, colon, port = text.rpartition(":")
    if not text:
        raise KeyProblem("the zone is empty")
    if colon and not port:
        raise KeyProblem(f"data is expected after the last colon of {text!r}")
    if not colon or not _PORT.fullmatch(port):
        return text, None
    if not zone:
        raise KeyProblem(f"{text!r} names a port without a zone; the root zone is {'.' + text!r}")
    if len(port) > 8 or not 0 <= int(port) <= 65535:
        raise KeyProblem(f"port {port} of {text!r} is not within 0 to 65535")
    return zone, int(port)


def _labels(text: str) -> list[bytes]:
    data = text.encode("utf-8", "surrogateescape")
    labels = [bytearray()]
    at = 0
    while at < len(data):
        unit = _UNIT.match(data, at)
        if unit is None:
            raise KeyProblem(f"{text!r} is not a valid domain name: it ends in a lone backslash")
        decimal, escaped, dot, plain = unit.groups()
        if dot:
            labels.append(bytearray())
        elif decimal:
            if int(decimal) > 255:
                raise KeyProblem(f"{text!r} is not a valid domain name: \\{decimal.decode()} is no byte")
            labels[-1].append(int(decimal))
        else:
            labels[-1] += escaped or plain
        at = unit.end()
    if not labels[-1]:
        labels.pop()
    return [bytes(label) for label in labels]


def _label_text(label: bytes) -> str:
    return "".join(
        f"\\{chr(byte)}" if byte in b".\\" else chr(byte) if 33 <= byte <= 126 else f"\\{byte:03d}"
        for byte in label
    )


def _reverse_zones(text: str) -> tuple[str, ...]:
    """The reverse zones of a CIDR, split upward to a label's boundary; empty if text is no CIDR."""
    if not _CIDR.fullmatch(text):
        return ()
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return ()
    if network.version == 6 and text[0] in ":0":
        raise KeyProblem(f"invalid CIDR {text!r}: an IPv6 network may not begin with {text[0]!r}")
    bits = 8 if network.version == 4 else 4
    labels = -(-network.prefixlen // bits)
    parts = network.subnets(new_prefix=labels * bits)
    return tuple(_reverse_zone(part.network_address, labels) for part in parts)


def _reverse_zone(address: ipaddress.IPv4Address | ipaddress.IPv6Address, labels: int) -> str:
    pointer = address.reverse_pointer.split(".")
    kept = (4 if address.version == 4 else 32) - labels
    return ".".join(pointer[kept:]) + "."
