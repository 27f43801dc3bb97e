"""How metrics and logs name what serves."""

from __future__ import annotations

from fastdns.corefile.model import Listener

# The zone of queries that no plugin saw, as no name of a zone can be.
DROPPED = "dropped"


def server_name(listener: Listener) -> str:
    """A listener: dns://:53, dns://[::1]:53."""
    address = f"[{listener.address}]" if ":" in listener.address else listener.address
    return f"{listener.transport}://{address}:{listener.port}"
