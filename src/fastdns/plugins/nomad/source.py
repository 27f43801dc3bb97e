"""What the watcher follows of Nomad: the list of services, and after each change of it all registrations.

Nomad says when anything has changed (a blocking query), but not what. So all services are asked for then, a few
at a time, and the result replaces what is served as a whole; only names that differ are written. After that, as
much time passes as this took: an agent is kept busy half of the time at most. While no agent answers, what was
read last is served.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from fastdns.counted import counted
from fastdns.dns.names import joined
from fastdns.errors import SourceError, StoreFull
from fastdns.http.failover import follow_in_turn, together
from fastdns.memory._store import Writer
from fastdns.netaddrs import canonical_address
from fastdns.plugins.api import Recorder
from fastdns.plugins.nomad.client import FAILURES, Access, Client, NamespaceList, Registration
from fastdns.plugins.nomad.config import Config, is_address
from fastdns.plugins.nomad.metrics import ERRORS, LEFT_OUT, LISTINGS
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.rrsets.publishing import SLICE_NS, publish
from fastdns.skipped import MAX_SAID, SkippedLines

log = logging.getLogger("plugin/nomad")

ROOT = b"\0"
TYPE_A, TYPE_AAAA = 1, 28
# The type under which rrsets/ has a port: for private use (RFC 6895 section 3.1).
TYPE_PORT = 65401
# Of one source.
MAX_SERVICES = 100_000
# Services that are asked for at a time.
CONCURRENT = 8
LEAST_PAUSE_S = 0.02
# Between lists that an agent gives without a wait.
IDLE_PAUSE_S = 1.0


def name_of(namespace: str, service: str) -> bytes:
    """The name of a service, without the zone, in wire form. Raises ValueError."""
    return joined([service.encode(), namespace.encode()], f"{service}.{namespace}")


def records_of(registration: Registration) -> Iterator[tuple[int, bytes]]:
    """The types and rdata of an instance. Raises ValueError."""
    address = canonical_address(registration.Address) if "%" not in registration.Address else None
    if address is None:
        raise ValueError(f"its address is {registration.Address[:80]!r}; expected an IP address")
    if not 0 <= registration.Port <= 65535:
        raise ValueError(f"its port is {str(registration.Port)[:20]}; expected 0 to 65535")
    packed = ip_address(address).packed
    yield TYPE_A if len(packed) == 4 else TYPE_AAAA, packed
    yield TYPE_PORT, registration.Port.to_bytes(2, "big")


class NomadSource:
    """The services of one cluster."""

    def __init__(self, number: int, config: Config, writer: Writer, recorder: Recorder) -> None:
        self.number = number
        self.config = config
        self.recorder = recorder
        self.access = Access.of()
        self.zones = ZoneWriter(writer, number, max_names=MAX_SERVICES, max_changes=0)
        self.skipped = SkippedLines()
        self.last_error = ""

    def restore(self) -> None:
        """What a predecessor has published is served until the services are listed."""

    def tick(self) -> None:
        """A second has passed."""
        self.zones.settle(SLICE_NS)

    async def close(self) -> None:
        """Nothing stays open when run has ended."""

    async def run(self) -> None:
        """Follow one agent after the other."""
        addresses = self.config.addresses or (self.access.address,)
        await follow_in_turn(addresses, self.follow, self.note_failure, (*FAILURES, StoreFull, SourceError))

    def note_failure(self, address: str, error: Exception) -> None:
        """An agent cannot be followed any more: say why, once while it stays so."""
        self.recorder.count(ERRORS, (address,))
        text = f"{address}: {error or type(error).__name__}"
        if text != self.last_error:
            self.last_error = text
            is_known = ROOT in self.zones.zones()
            log.error("%s; %s", text, "what was read last is served" if is_known else "nothing has been read yet")

    async def follow(self, address: str) -> None:
        """List, and list again when anything has changed. Raises FAILURES, StoreFull, SourceError."""
        if not is_address(address):
            raise SourceError("NOMAD_ADDR is no address; one looks like http://127.0.0.1:4646")
        client = Client(self.config, address, self.access)
        try:
            index = 0
            while True:
                began_s = time.monotonic()
                lists, now = await client.services(index)
                if now != index or not index:
                    began_s = time.monotonic()
                    await self.list_all(client, lists)
                    # An agent without an index does not wait for a change.
                    least_s = LEAST_PAUSE_S if now else IDLE_PAUSE_S
                    await asyncio.sleep(max(least_s, time.monotonic() - began_s))
                else:
                    # Nor does one that answers at once though nothing has changed.
                    await asyncio.sleep(max(0.0, IDLE_PAUSE_S - (time.monotonic() - began_s)))
                index = now
        finally:
            await client.close()

    async def list_all(self, client: Client, lists: Iterable[NamespaceList]) -> None:
        """Ask for all services of a list, and serve what they are."""
        self.recorder.count(LISTINGS, ())
        wanted = [(one.Namespace, stub.ServiceName) for one in lists for stub in one.Services or ()]
        if len(wanted) > MAX_SERVICES:
            raise SourceError(f"there are {len(wanted)} services; at most {MAX_SERVICES}")
        draft = Draft(ROOT)
        problems: list[str] = []
        left = iter(wanted)

        async def ask() -> None:
            for namespace, service in left:
                self.add(draft, namespace, service, await client.registrations(namespace, service), problems)

        await together([ask() for _ in range(min(CONCURRENT, len(wanted)))])
        self.note(problems)
        changed = await publish(self.zones, draft)
        known = self.zones.writer.store.source(self.number)[0]
        self.zones.writer.set_source(
            self.number, synced=True, soa_serial=int(time.time()) if changed or not known else None
        )
        if self.last_error or not known:
            log.info("%s: %s", client.session.url, counted(len(wanted), "service"))
        self.last_error = ""

    def add(
        self, draft: Draft, namespace: str, service: str, found: list[Registration], problems: list[str]
    ) -> None:
        """The records of one service. What cannot be served is left out."""
        try:
            name = name_of(namespace, service)
        except ValueError as error:
            problems.append(f"{error}; it is left out")
            return
        for registration in found:
            try:
                for rrtype, rdata in records_of(registration):
                    draft.add(name, rrtype, 0, rdata)
            except ValueError as error:
                problems.append(f"{namespace}/{service}: {error}; an instance is left out")

    def note(self, problems: list[str]) -> None:
        """Say what is left out, once, and count it."""
        new = len(set(problems)) - len(set(problems) & self.skipped.present.get("", frozenset()))
        for _ in range(new):
            self.recorder.count(LEFT_OUT, ())
        shown = sorted(set(problems))
        if len(shown) > MAX_SAID:
            shown[MAX_SAID - 1 :] = [f"{len(shown) - MAX_SAID + 1} more are left out"]
        self.skipped.note(log, "", shown)
