"""Telling secondaries that zones have changed: NOTIFY (RFC 1996), over UDP.

A host that does not answer is told three times; then a line of the log says so, as CoreDNS says it. It learns of
the change when it looks by itself. If a zone changes while its hosts are being told, telling begins again: each
zone has one task at most.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import socket
from collections.abc import Iterable, Sequence

from fastdns.dns.mnemonics import RCODES
from fastdns.dns.names import text_name, wire_name

log = logging.getLogger("plugin/transfer")

TRIES = 3
ANSWER_S = 2.0
# Of one server's, at a time.
MAX_AT_ONCE = 16

HEADER_BYTES = 12
# Opcode 4, AA
NOTIFY_FLAGS = 0x2400
SOA_IN = b"\0\6\0\1"

# Zones, the hosts that are told of them (address, port), and the address that they are told from ("": any).
Secondaries = tuple[Sequence[str], Sequence[tuple[str, int]], str]


class Answers(asyncio.DatagramProtocol):
    """Waits for the answer to one message: its rcode."""

    def __init__(self, message: bytes, answered: asyncio.Future[int]) -> None:
        self.message = message
        self.answered = answered

    def datagram_received(self, data: bytes, addr: object) -> None:
        # The ID, QR and the opcode.
        if len(data) >= HEADER_BYTES and data[:2] == self.message[:2] and data[2] & 0xF8 == 0xA0:
            self.settle(data[3] & 15)

    def error_received(self, exc: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(exc)

    def settle(self, rcode: int) -> None:
        """It has been answered."""
        if not self.answered.done():
            self.answered.set_result(rcode)


async def tell_once(message: bytes, host: tuple[str, int], source: str) -> int:
    """Send a message, and return the rcode of its answer. Raises OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[int] = loop.create_future()
    family = socket.AF_INET6 if ":" in host[0] else socket.AF_INET
    transport, _ = await loop.create_datagram_endpoint(
        lambda: Answers(message, answered),
        remote_addr=host,
        local_addr=(source, 0) if source else None,
        family=family,
    )
    try:
        transport.sendto(message)
        async with asyncio.timeout(ANSWER_S):
            return await answered
    finally:
        transport.close()


class Notifier:
    """Tells the secondaries of one source's zones."""

    def __init__(self, secondaries: Iterable[Secondaries]) -> None:
        self.rules = [([wire_name(zone) for zone in zones], hosts, source) for zones, hosts, source in secondaries]
        self.tasks: dict[bytes, asyncio.Task[None]] = {}
        self.places = asyncio.Semaphore(MAX_AT_ONCE)

    def rule(self, zone: bytes) -> tuple[Sequence[tuple[str, int]], str]:
        """The hosts that are told of a zone (in wire form), and from where: those of the longest zone around it."""
        best: tuple[int, Sequence[tuple[str, int]], str] = (0, (), "")
        for zones, hosts, source in self.rules:
            for one in zones:
                if is_in(zone, one) and len(one) > best[0]:
                    best = (len(one), hosts, source)
        return best[1:]

    def changed(self, zone: bytes) -> None:
        """A zone, in wire form, is served in a new version."""
        hosts, source = self.rule(zone)
        if not hosts:
            return
        before = self.tasks.get(zone)
        if before is not None:
            before.cancel()
        task = asyncio.get_running_loop().create_task(self.tell_all(zone, hosts, source))
        self.tasks[zone] = task
        task.add_done_callback(lambda done: self.forget(zone, done))

    def forget(self, zone: bytes, task: asyncio.Task[None]) -> None:
        """A task has ended."""
        if self.tasks.get(zone) is task:
            del self.tasks[zone]
        if not task.cancelled() and task.exception() is not None:
            log.error("notify for zone %r failed", text_name(zone), exc_info=task.exception())

    async def tell_all(self, zone: bytes, hosts: Sequence[tuple[str, int]], source: str) -> None:
        """Tell each host."""
        async with self.places:
            await asyncio.gather(*(self.tell(zone, host, source) for host in hosts))

    async def tell(self, zone: bytes, host: tuple[str, int], source: str) -> None:
        """Tell a host, and say in the log where it does not answer."""
        why = ""
        for _ in range(TRIES):
            message = secrets.token_bytes(2) + NOTIFY_FLAGS.to_bytes(2, "big") + b"\0\1" + bytes(6) + zone + SOA_IN
            try:
                rcode = await tell_once(message, host, source)
            except TimeoutError:
                why = '"timeout"'
                continue
            except OSError as error:
                why = f'"{error}"'
                continue
            if rcode == 0:
                return
            why = f'rcode was "{RCODES.get(rcode, rcode)}"'
        log.warning(
            'Failed sending notifies: notify for zone "%s" was not accepted by "%s": %s',
            text_name(zone), joined(host), why,
        )  # fmt: skip

    async def close(self) -> None:
        """Tell nobody any more."""
        tasks = list(self.tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def is_in(name: bytes, zone: bytes) -> bool:
    """Whether a name is a zone's apex, or below it; both in wire form and lower case."""
    at = 0
    while len(name) - at > len(zone):
        at += name[at] + 1
    return name[at:] == zone


def joined(host: tuple[str, int]) -> str:
    """A host as text."""
    address, port = host
    bracketed = f"[{address}]" if ipaddress.ip_address(address.partition("%")[0]).version == 6 else address
    return f"{bracketed}:{port}"
