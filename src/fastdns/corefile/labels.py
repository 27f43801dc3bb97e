"""How metrics and logs name what serves."""

from __future__ import annotations

from fastdns.corefile.model import Listener
from fastdns.transports.table import SERVED

# The zone of queries that no plugin saw, as no name of a zone can be.
DROPPED = "dropped"
# The label proto of each transport, in the order of their counters; and beside each the label family, by its own.
PROTOS = tuple(transport.proto for transport in SERVED)
PROTOS_AND_FAMILIES = tuple((proto, family) for proto in PROTOS for family in ("1", "2"))


def server_name(listener: Listener) -> str:
    """A listener: dns://:53, dns://[::1]:53."""
    address = f"[{listener.address}]" if ":" in listener.address else listener.address
    return f"{listener.transport}://{address}:{listener.port}"
