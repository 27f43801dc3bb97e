"""/top: who asks most, and for what, as JSON. One rendering serves all who ask within a second.

    {"schema": "fastdns-top/1", "entries": 4096, "seconds": 83.1, "slow_seconds": 0.1, "queries": 98304,
     "clients": [{"address": "10.1.2.3", "namespace": "shop", "pod": "web-0", "queries": 512, "at_most": 512}, …],
     "names": [{"name": "db.shop.svc.cluster.local.", "queries": 300, "at_most": 300}, …],
     "nxdomains": […], "slow": […],
     "workers": [{"process": "worker 1", "pid": 4711, "cpu_seconds": 12.5, "queries": 1234567}, …]}

``seconds`` is the time that the counts are of. ``queries`` is how often something was counted at least, and decides
the order; it is exact where it is equal to ``at_most``. A name that is cut off has ``"cut": true``.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdns.dns.names import text_name
from fastdns.errors import FastdnsError
from fastdns.http.answers import Answer, Request, text
from fastdns.plugins.api import SupervisorView
from fastdns.plugins.prometheus.page import MAX_AGE_MS, Shared

if TYPE_CHECKING:
    from fastdns.plugins.top._sketch import Sketches

log = logging.getLogger("plugin/top")

SCHEMA = "fastdns-top/1"
# Of each table.
ROWS = 100
JSON = "application/json"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def covered_s(window_s: float, now_s: float, begun_s: float) -> float:
    """The time that counts are of: the present window so far and the one before, since the counting began."""
    return min(now_s % window_s + window_s, now_s - begun_s)


def name_row(data: bytes, length: int, least: int, most: int) -> dict[str, Any]:
    """A row of a table of names. data: the beginning of the name in wire form, whose length is ``length``."""
    if len(data) == length:
        return {"name": text_name(data), "queries": least, "at_most": most}
    # Whole labels, as many as there are, and a root that makes a name of them.
    end = 0
    while end + data[end] + 1 < len(data):
        end += data[end] + 1
    return {"name": text_name(data[:end] + b"\0"), "cut": True, "queries": least, "at_most": most}


def address_text(data: bytes) -> str:
    """An address of 4 or 16 bytes as text."""
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def tables(sketches: Sketches, begun_s: float, slow_s: float) -> dict[str, Any]:
    """All that is told, but whose the addresses are."""
    now_ns = time.monotonic_ns()
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "entries": sketches.size,
        "seconds": round(covered_s(sketches.window_s, now_ns / 1e9, begun_s), 3),
        "slow_seconds": slow_s,
        "queries": sketches.queries(now_ns),
        "clients": [
            {"address": address_text(data), "queries": least, "at_most": most}
            for data, _, least, most in sketches.top("clients", ROWS, now_ns)
        ],
    }
    for kind in ("names", "nxdomains", "slow"):
        found[kind] = [name_row(*row) for row in sketches.top(kind, ROWS, now_ns)]
    return found


def cpu_s(pid: int) -> float:
    """The CPU time of a process so far (proc(5)); 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    except (OSError, ValueError, IndexError):
        return 0.0


def workers(supervisor: SupervisorView) -> list[dict[str, Any]]:
    """What each worker has done so far."""
    queries = supervisor.worker_queries()
    found = [child for child in supervisor.children.values() if child.pid in queries]
    found.sort(key=lambda child: (child.index, child.generation))
    return [
        {
            "process": f"{child.role} {child.index + 1}",
            "pid": child.pid,
            "cpu_seconds": cpu_s(child.pid or 0),
            "queries": queries[child.pid or 0],
        }
        for child in found
    ]


class Page:
    """The handler."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor
        self.shared = Shared(self.render, MAX_AGE_MS.of(supervisor.environ) / 1000)
        self.sketches: Sketches | None = None
        self.slow_s = 0.0
        self.begun_s = 0.0

    def show(self, sketches: Sketches, slow_s: float) -> None:
        """These counts are told from now on."""
        if sketches is not self.sketches:
            self.sketches, self.begun_s = sketches, time.monotonic()
        self.slow_s = slow_s

    async def render(self) -> bytes:
        """What is told now. Raises FastdnsError."""
        sketches = self.sketches
        if sketches is None:
            raise FastdnsError("the server is not up yet")

        def ranked() -> bytes:
            # All entries of all threads are looked at: not on the loop of the supervisor.
            found = tables(sketches, self.begun_s, self.slow_s) | {"workers": workers(self.supervisor)}
            return json.dumps(found).encode()

        found = json.loads(await self.supervisor.in_child("top", ranked))
        for row in found["clients"]:
            row |= self.supervisor.owner_of(packed(row["address"]))
        return json.dumps(found).encode()

    async def handle(self, request: Request) -> Answer:
        """GET /top."""
        try:
            return Answer(await self.shared.get() + b"\n", content_type=JSON)
        except FastdnsError as error:
            log.error("the counts cannot be told: %s", error)
            return text(f"{error}\n", 503)


def packed(address: str) -> bytes:
    """An address as bytes."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
