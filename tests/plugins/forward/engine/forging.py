"""What a forger of replies knows: the ports that questions leave from, and what they ask."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.forward.engine.support import Asked, a, response

FORGED = "203.0.113.66"


def ports_towards(port: int) -> set[int]:
    """The local ports of all UDP sockets of this host that are connected to a port of the loopback."""
    found = set()
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        local, remote = line.split()[1:3]
        if remote == f"0100007F:{port:04X}":
            found.add(int(local.partition(":")[2], 16))
    return found


def forgery(asked: Asked) -> bytes:
    """What a forger sends to a question, from the ID on."""
    return a(response(asked.message), FORGED).to_wire()[2:]
