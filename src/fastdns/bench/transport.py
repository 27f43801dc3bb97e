"""The transports of queries: their names, ports, and what the command line says of TLS."""

from __future__ import annotations

import dataclasses
import ipaddress
from dataclasses import dataclass
from pathlib import Path

# dnsperf's names, and names in their manner where dnsperf has none; and the ports that IANA has assigned.
PORTS = {"udp": 53, "tcp": 53, "dot": 853}
# The protocols that clients offer in a TLS handshake (RFC 7301), by transport: IANA, "TLS ALPN Protocol IDs".
ALPN = {"dot": "dot"}
# Transports of connections, which are made and may be made anew; and those of them that are encrypted.
CONNECTED = tuple(name for name in PORTS if name != "udp")
ENCRYPTED = tuple(ALPN)


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


def is_address(host: str) -> bool:
    """Whether a host is given by its address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
