"""What is asked of an authority that issues certificates by ACME (RFC 8555), and for which names."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastdns.errors import FastdnsError
from fastdns.tls import client_context

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
# What authorities put into one certificate at most.
MAX_DOMAINS = 100
# RFC 1035 section 2.3.4; the challenge's name has a label more.
MAX_NAME_CHARACTERS = 253 - len("_acme-challenge.")
# RFC 5891 section 4.2.3.1: hyphens at both ends, and two in the third and fourth place but for A-labels.
_LABEL = re.compile(r"(?!-)(?!(?!xn)..--)[a-z0-9-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True)
class Acme:
    """domains: of the certificate, in the order of the Corefile; "*." may lead. url: of the authority's directory.

    email: of the account; "": none. ca_root: a file of authorities that are trusted beside the system's; "": none.
    resolver: HOST:PORT of the server that is asked for the authority's address; "": as the system does.
    """

    domains: tuple[str, ...]
    url: str = LETS_ENCRYPT
    storage: str = ""
    email: str = ""
    ca_root: str = ""
    resolver: str = ""

    @property
    def identity(self) -> tuple[object, ...]:
        """Blocks with the same identity share a certificate. The order of domains does not matter."""
        return (tuple(sorted(self.domains)), self.url, self.storage, self.email, self.ca_root, self.resolver)

    def __str__(self) -> str:
        return ", ".join(self.domains)


def to_domains(texts: Sequence[str]) -> tuple[str, ...]:
    """Names of a certificate, each once, in lower case, as A-labels. Raises ValueError."""
    if not texts:
        raise ValueError("ACME requires at least one domain")
    domains = tuple(dict.fromkeys(to_domain(text) for text in texts))
    if len(domains) > MAX_DOMAINS:
        raise ValueError(f"{len(domains)} ACME domains; a certificate has {MAX_DOMAINS} at most")
    return domains


def to_domain(text: str) -> str:
    """One of them. Raises ValueError."""
    lowered = text.removesuffix(".").lower()
    wildcard = "*." if lowered.startswith("*.") else ""
    name = lowered.removeprefix("*.")
    if not name.isascii():
        name = to_ascii(text, name)
    labels = name.split(".")
    if is_address(name) or len(name) > MAX_NAME_CHARACTERS or not all(_LABEL.fullmatch(one) for one in labels):
        raise ValueError(f"invalid ACME domain {text!r}")
    return wildcard + name


def to_ascii(text: str, name: str) -> str:
    """The A-labels of a name (RFC 5891 section 4). Raises ValueError."""
    try:
        import idna
    except ImportError:
        raise ValueError(f"the ACME domain {text!r} needs the package idna; write its A-labels (xn--...)") from None
    try:
        return idna.encode(name, uts46=True, std3_rules=True).decode()
    except idna.IDNAError as error:
        raise ValueError(f"invalid ACME domain {text!r}: {error}") from None


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def check_url(text: str) -> None:
    """Raises ValueError where this is no URL of an authority's directory."""
    try:
        url = urlsplit(text)
        right = url.scheme in ("https", "http") and bool(url.hostname) and url.port != 0
    except ValueError:
        right = False
    if not right:
        raise ValueError(f"invalid ACME CA URL {text!r}; one looks like {LETS_ENCRYPT}")


def check_resolver(text: str) -> None:
    """Raises ValueError where this is not HOST:PORT, IPv6 in brackets, or nothing."""
    if text:
        host_port(text)


def host_port(text: str) -> tuple[str, int]:
    """Host, without brackets, and port. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if not colon or not bare or (":" in bare) != bracketed:
        raise ValueError(f"invalid ACME resolver {text!r}; one looks like 192.0.2.53:53 or [2001:db8::53]:53")
    if not (port.isascii() and port.isdecimal()) or not 1 <= int(port[:9]) <= 65535:
        raise ValueError(f"invalid ACME resolver port {port!r}")
    return bare, int(port)


def trusting(ca_root: str) -> ssl.SSLContext:
    """A client's context that trusts the system's authorities, and those of a file. Raises FastdnsError."""
    context = client_context()
    if ca_root:
        try:
            context.load_verify_locations(ca_root)
        except OSError as error:
            why = getattr(error, "reason", None) or error.strerror or error
            raise FastdnsError(f"{ca_root}: certificates in PEM format expected: {why}") from None
    return context


def conflict(known: Iterable[Acme], acme: Acme) -> str:
    """A domain that another block has with other options; "": none."""
    owners = {domain: one for one in known for domain in one.domains}
    for domain in acme.domains:
        if domain in owners and owners[domain].identity != acme.identity:
            return domain
    return ""
