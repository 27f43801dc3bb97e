"""Finds upstreams that send queries back to this server, and cuts them off for as long as they do.

A probe asks one upstream for HINFO of a name that nobody can guess; the loop step tells through the shared table
when it comes in again. Probes go out when the server starts, and to an upstream that is cut off now and then.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdns.dns.names import wire_name
from fastdns.netaddrs import socket_address
from fastdns.plugins.forward.config import DNS
from fastdns.plugins.forward.upstreams import UpstreamError

if TYPE_CHECKING:
    from fastdns.corefile.model import ServerConfig
    from fastdns.plugins.forward.desk import Desk
    from fastdns.plugins.forward.engine._shared import Upstreams
    from fastdns.plugins.forward.routes import Route, Routes

log = logging.getLogger("plugin/loop")

TYPE_HINFO, CLASS_IN, FLAG_RD = 13, 1, 0x0100
# An upstream that is not up yet, or a lost datagram, should not hide a loop; CoreDNS looks for 30 s.
WAITS_S = (0.0, 1.0, 3.0, 8.0, 18.0)
# How long a probe may be on its way.
PROBE_S = 2.0
POLL_S = 0.05
AGAIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """An upstream that is probed, and for which zone."""

    route: Route
    zone: str


def targets(config: ServerConfig, routes: Routes) -> list[Target]:
    """Every upstream of every block that has loop, each server once."""
    found: dict[int, Target] = {}
    for block, _ in config.with_plugin("loop"):
        for (index, _), number in routes.numbers.items():
            if index != block.index:
                continue
            for place in routes.of_stanza(number):
                route = routes.upstreams[place]
                found.setdefault(route.slot, Target(route, block.zones[0]))
    return list(found.values())


def probe_query(token: bytes, zone: str) -> bytes:
    """The question for HINFO of the token's 16 bytes, as two labels of hex digits, in the zone."""
    digits = token.hex()
    name = b"\x10" + digits[:16].encode() + b"\x10" + digits[16:].encode() + wire_name(zone)
    header = struct.pack(">6H", secrets.randbits(16), FLAG_RD, 1, 0, 0, 0)
    return header + name + struct.pack(">2H", TYPE_HINFO, CLASS_IN)


async def find_loops(config: ServerConfig, routes: Routes, desk: Desk) -> None:
    """Probe every upstream; ends only when it is cancelled or no upstream is cut off."""
    upstreams = routes.shared
    found = targets(config, routes)
    probed = {target.route.slot for target in found}
    for route in routes.upstreams:
        if route.slot not in probed:
            # Cut off by an earlier configuration that had loop.
            upstreams.cut(route.slot, False)
    await asyncio.gather(*(watch(target, routes, upstreams, desk) for target in found))


async def watch(target: Target, routes: Routes, upstreams: Upstreams, desk: Desk) -> None:
    """Probe one upstream until it has been well for a while."""
    slot = target.route.slot
    tries = 0
    while tries < len(WAITS_S):
        await asyncio.sleep(WAITS_S[tries])
        if await comes_back(target, routes, upstreams, desk):
            tell(target)
            upstreams.cut(slot, True)
            tries = 0
            await asyncio.sleep(AGAIN_S)
            continue
        if upstreams.is_cut(slot):
            upstreams.cut(slot, False)
            log.info("%s no longer sends queries back and is asked again", target.route.upstream.to)
        tries += 1


def tell(target: Target) -> None:
    """The error line of a loop."""
    log.error(
        'Loop (%s) detected for zone "%s": this upstream sends queries back to this server. It is not '
        "asked, and is probed again in %d s; names that need no upstream are still answered",
        target.route.upstream.to, target.zone, AGAIN_S,
    )  # fmt: skip


async def comes_back(target: Target, routes: Routes, upstreams: Upstreams, desk: Desk) -> bool:
    """Send one probe, and see whether it comes in here."""
    token = secrets.token_bytes(16)
    slot = target.route.slot
    until_ns = time.monotonic_ns() + int(PROBE_S * 1e9)
    upstreams.arm(slot, int.from_bytes(token[:8], "big"), int.from_bytes(token[8:], "big"), until_ns)
    probe = probe_query(token, target.zone)
    upstream = target.route.upstream
    stanza = routes.stanzas[target.route.stanza]
    sock = None
    if upstream.transport == DNS and not stanza.force_tcp:
        try:
            sock = send_datagram(probe, upstream.address, upstream.port, stanza.source_address)
        except OSError as error:
            log.debug("the probe of %s cannot be sent: %s", upstream.to, error)
    else:
        try:
            desk.of(target.route.stanza).ask(target.route.place, probe, PROBE_S, lambda reply, reason: None)
        except UpstreamError as error:
            log.debug("the probe of %s cannot be sent: %s", upstream.to, error)
    while not upstreams.seen(slot) and time.monotonic_ns() < until_ns:
        await asyncio.sleep(POLL_S)
    if sock is not None:
        sock.close()
    return bool(upstreams.seen(slot))


def send_datagram(probe: bytes, address: str, port: int, source: str | None) -> socket.socket:
    """Send it from a socket of its own, which stays open so that an answer finds somebody."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if source is not None:
            if (":" in source) != (":" in address):
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            sock.bind(socket_address(source, 0))
        sock.sendto(probe, socket_address(address, port))
    except OSError:
        sock.close()
        raise
    return sock
