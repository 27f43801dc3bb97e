"""How long a change takes: from the moment the API server is told of it until an answer shows it."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fastdns.bench.apiserver import objects
from fastdns.bench.cluster.options import MAX_PROBES
from fastdns.bench.exchange import query

# Pause between two queries for a name that is to change: the resolution of the measurement.
LOOK_S = 0.0005
# How long a query waits for its answer.
ANSWER_S = 0.02
NAMESPACE = "default"
# An answer over UDP without EDNS holds all of them.
MAX_ENDPOINTS = 20
PROBE_FROM = int(ipaddress.IPv4Address("10.250.0.1"))
PROBE_STEP = 65536
FRESH_FROM = PROBE_FROM + MAX_PROBES * PROBE_STEP


class Api:
    """The API server's control endpoint over one open connection, so that no request waits for a handshake."""

    def __init__(self, control: str) -> None:
        host = control.removeprefix("http://")
        self._connection = http.client.HTTPConnection(host, timeout=30)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_put(self, obj: objects.Object | list[objects.Object]) -> None:
        """Send a request that changes objects, without waiting for the response."""
        self._connection.request("POST", "/-/put", json.dumps(obj), {"Content-Type": "application/json"})

    def finish(self) -> None:
        """Read the response. Raises RuntimeError unless it is 200."""
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the API server refused: {body!r}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass(slots=True)
class Probe:
    """A headless service of which one endpoint is replaced, and the socket that asks for it."""

    name: str
    api: Api
    asking: socket.socket
    addresses: list[str]
    message: bytes
    since: float | None = None  # when the pending change was sent
    next_at: float = 0.0
    wanted: bytes = b""

    def slice(self) -> objects.Object:
        """The EndpointSlice as it is now."""
        return objects.slice_(
            f"{self.name}-slice",
            NAMESPACE,
            service=self.name,
            endpoints=[objects.endpoint(address) for address in self.addresses],
            ports=(("http", "TCP", 80),),
            family="IPv4",
            headless=True,
        )

    def close(self) -> None:
        """Close its sockets."""
        self.asking.close()
        self.api.close()


def make_probes(control: str, port: int, count: int, endpoints: int) -> list[Probe]:
    """Create count headless services in the API server, each with this many endpoints, at most MAX_ENDPOINTS.

    control: the API server's control endpoint; port: of the measured server on 127.0.0.1.
    """
    made = []
    for i in range(count):
        name = f"probe-{i}"
        first = PROBE_FROM + i * PROBE_STEP
        addresses = [str(ipaddress.IPv4Address(first + j)) for j in range(min(endpoints, MAX_ENDPOINTS))]
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.setblocking(False)
        asking.connect(("127.0.0.1", port))
        message = query(f"{name}.{NAMESPACE}.svc.cluster.local")
        probe = Probe(name, Api(control), asking, addresses, message)
        probe.api.send_put([objects.service(name, NAMESPACE), probe.slice()])
        probe.api.finish()
        made.append(probe)
    return made


@dataclass(slots=True)
class Timed:
    """Delays of changes, in milliseconds, and counts of the queries that looked for them.

    failed: answers with an rcode other than NOERROR; unanswered: queries without an answer within ANSWER_S, or
    refused by the socket; unseen: changes that no answer had shown when the time was over.
    """

    took_ms: list[float] = field(default_factory=list)
    queries: int = 0
    failed: int = 0
    unanswered: int = 0
    unseen: int = 0


def time_changes(
    probes: list[Probe],
    seconds: float,
    samples: int,
    limit_s: float,
    progress: Callable[[float], None],
    seed: int = 1,
) -> Timed:
    """Replace an endpoint of each probe again and again, and ask until the answer has the new address.

    A delay begins when the change is sent to the API server, so the API server's own work counts. The measurement
    ends after ``seconds``, but not before there are ``samples``, and after limit_s at the latest. progress: called
    with the part that is done, from 0 to 1.
    """
    rng = random.Random(seed)
    timed = Timed()
    begin = time.monotonic()
    fresh = 0
    for probe in probes:
        probe.next_at = begin + rng.uniform(0, 0.1)
    while True:
        now = time.monotonic()
        enough = now - begin >= seconds and len(timed.took_ms) >= samples
        if now - begin >= limit_s:
            timed.unseen += sum(probe.since is not None for probe in probes)
            return timed
        if enough and all(probe.since is None for probe in probes):
            return timed
        progress(min(1.0, (now - begin) / seconds, len(timed.took_ms) / max(1, samples)))
        for probe in probes:
            if probe.since is None:
                if not enough and now >= probe.next_at:
                    fresh += 1
                    start_change(probe, fresh, rng)
            elif look(probe, timed):
                probe.next_at = time.monotonic() + rng.uniform(0.02, 0.1)
        time.sleep(LOOK_S)


def start_change(probe: Probe, fresh: int, rng: random.Random) -> None:
    """Replace one endpoint by an address that was never used before."""
    address = ipaddress.IPv4Address(FRESH_FROM + fresh)
    probe.addresses[rng.randrange(len(probe.addresses))] = str(address)
    probe.wanted = address.packed
    obj = probe.slice()
    with contextlib.suppress(OSError):
        # Late answers to queries for the previous change; BlockingIOError ends the loop.
        while True:
            probe.asking.recv(65535)
    probe.since = time.monotonic()
    probe.api.send_put(obj)


def look(probe: Probe, timed: Timed) -> bool:
    """Ask once; returns whether the answer has the new address."""
    assert probe.since is not None
    timed.queries += 1
    with contextlib.suppress(OSError):
        probe.asking.send(probe.message)
    end = time.monotonic() + ANSWER_S
    while time.monotonic() < end:
        try:
            answer = probe.asking.recv(65535)
        except BlockingIOError:
            time.sleep(0.0001)
            continue
        except OSError:
            break
        now = time.monotonic()
        if answer[3] & 0xF:
            timed.failed += 1
        if probe.wanted not in answer[len(probe.message) :]:
            return False
        timed.took_ms.append((now - probe.since) * 1000)
        probe.api.finish()
        probe.since = None
        return True
    timed.unanswered += 1
    return False
