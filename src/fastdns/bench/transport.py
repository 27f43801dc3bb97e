"""The transports of queries: their names, ports, and what the command line says of TLS."""

from __future__ import annotations

import dataclasses
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fastdns.bench.address import Server

# dnsperf's names, and names in their manner where dnsperf has none; and the ports that IANA has assigned.
PORTS = {"udp": 53, "tcp": 53, "dot": 853, "doh": 443, "doh3": 443, "doq": 853}
# The protocols that clients offer in a TLS handshake (RFC 7301), by transport: IANA, "TLS ALPN Protocol IDs".
ALPN = {"dot": "dot", "doh": "h2", "doh3": "h3", "doq": "doq"}
# Transports of connections, which are made and may be made anew; and those of them that are encrypted.
CONNECTED = tuple(name for name in PORTS if name != "udp")
ENCRYPTED = tuple(ALPN)
OVER_HTTP = ("doh", "doh3")
OVER_QUIC = ("doh3", "doq")
OVER_TCP = tuple(name for name in CONNECTED if name not in OVER_QUIC)


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How TLS is spoken.

    name: of the server, sent to it and compared with its certificate; empty: the host that is asked.
    authorities: a file of certificates that the server's must be signed by; None: it is not verified.
    certificate, key: the client's. resumes: later connections of a client resume the TLS session of earlier ones.
    """

    name: str = ""
    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    resumes: bool = False

    def towards(self, host: str) -> TlsOptions:
        """The options with the name of the server."""
        return self if self.name else dataclasses.replace(self, name=host)

    @property
    def name_is_address(self) -> bool:
        """Whether the name is an IP address."""
        return is_address(self.name)


PLAIN_TLS = TlsOptions()
METHODS = ("GET", "POST")


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How DNS over HTTPS is asked. authority: the host and port of requests; empty: of the server that is asked."""

    scheme: str = "https"
    authority: str = ""
    path: str = "/dns-query"
    method: str = METHODS[0]

    @property
    def is_secure(self) -> bool:
        """Whether it is over TLS."""
        return self.scheme == "https"

    @property
    def posts(self) -> bool:
        """Whether messages are sent by POST."""
        return self.method == "POST"

    @property
    def host(self) -> str:
        """The host of the authority; empty if there is no authority."""
        return urlsplit(f"//{self.authority}").hostname or ""

    def towards(self, server: Server) -> HttpOptions:
        """The options with the authority of the server."""
        if self.authority:
            return self
        host = f"[{server.host}]" if ":" in server.host else server.host
        standard = server.port == (443 if self.is_secure else 80)
        return dataclasses.replace(self, authority=host if standard else f"{host}:{server.port}")


PLAIN_HTTP = HttpOptions()


def parse_uri(text: str) -> HttpOptions:
    """The options of dnsperf's doh-uri. Raises ValueError."""
    # RFC 8484 writes the part that GET fills in as a template (RFC 6570).
    uri = urlsplit(text.removesuffix("{?dns}"))
    if uri.scheme not in ("https", "http") or not uri.hostname or set(uri.path + uri.query) & set("{} "):
        raise ValueError(f"https://HOST/PATH expected, got {text!r}")
    return HttpOptions(uri.scheme, uri.netloc, (uri.path or "/") + (f"?{uri.query}" if uri.query else ""))


def is_address(host: str) -> bool:
    """Whether a host is given by its address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
