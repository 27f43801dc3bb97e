"""The step of grpc: asks one upstream after the other until one answers, as CoreDNS does."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from fastdns._wire import error_reply
from fastdns.dns._framing import MAX_MESSAGE_BYTES
from fastdns.dns.names import is_in_zone, wire_name
from fastdns.plugins.grpc.client import NOT_FOUND, Client, GrpcError
from fastdns.plugins.grpc.config import ROUND_ROBIN, SEQUENTIAL, Config
from fastdns.plugins.grpc.counts import Counts
from fastdns.plugins.grpc.routes import Route
from fastdns.plugins.python import HEADER_BYTES, NoReplyError, PythonStep, Request

# CoreDNS's, for all upstreams together.
DEADLINE_S = 5.0
FORMERR, NXDOMAIN = 1, 3


class GrpcStep(PythonStep):
    """has_next: a plugin stands behind it. slot: of the worker's thread among the counters; the worker sets it."""

    # What was asked is cancelled before.
    timeout_s = DEADLINE_S + 1
    cacheable = True

    def __init__(self, config: Config, route: Route, counts: Counts, *, has_next: bool) -> None:
        self.from_zone = wire_name(config.from_zone)
        self.exceptions = [wire_name(zone) for zone in config.exceptions]
        self.fallthrough = [wire_name(zone) for zone in config.fallthrough or ()] if has_next else []
        self.clients = [(Client(one, route.context, config.tls_servername), row) for one, row in route.upstreams]
        self.order = ORDERS.get(config.policy, shuffled)
        self.counts = counts
        self.slot = 0
        self.turn = 0

    async def serve(self, request: Request) -> bytes | None:
        """What an upstream says; None where it is the next plugin's."""
        name = request.message[HEADER_BYTES : request.name_end].lower()
        if not self.matches(name):
            return None
        try:
            async with asyncio.timeout(DEADLINE_S):
                reply = await self.ask(request.message)
        except (GrpcError, TimeoutError) as error:
            if self.falls(name):
                return None
            raise NoReplyError(str(error) or "context deadline exceeded") from error
        if not request.is_answered_by(reply):
            reply = error_reply(request.message, FORMERR, MAX_MESSAGE_BYTES) or b""
        if reply[3] & 15 == NXDOMAIN and self.falls(name):
            return None
        return reply

    def matches(self, name: bytes) -> bool:
        """Whether a name is for the upstreams."""
        if not is_in_zone(name, self.from_zone):
            return False
        return name == self.from_zone or not any(is_in_zone(name, zone) for zone in self.exceptions)

    def falls(self, name: bytes) -> bool:
        """Whether a name goes to the next plugin where the upstreams have none, or do not answer."""
        return any(is_in_zone(name, zone) for zone in self.fallthrough)

    async def ask(self, message: bytes) -> bytes:
        """The reply of the first upstream that has one. Raises GrpcError of the last."""
        failed = GrpcError(0, "no healthy gRPC proxies")
        for client, row in self.order(self):
            begun = time.monotonic()
            try:
                reply = await client.query(message)
                if len(reply) < HEADER_BYTES:
                    raise GrpcError(0, "dns: overflow unpacking uint16")
            except GrpcError as error:
                if error.code == NOT_FOUND:
                    return error_reply(message, NXDOMAIN, MAX_MESSAGE_BYTES) or b""
                self.counts.failed(self.slot, row)
                failed = error
                continue
            except asyncio.CancelledError:
                self.counts.failed(self.slot, row)
                raise
            self.counts.replied(self.slot, row, reply[3] & 15, time.monotonic() - begun)
            return message[:2] + reply[2:]
        raise failed

    async def close(self) -> None:
        for client, _ in self.clients:
            client.close()


Clients = list[tuple[Client, int]]


def shuffled(step: GrpcStep) -> Clients:
    """At random."""
    return random.sample(step.clients, len(step.clients))


def in_turn(step: GrpcStep) -> Clients:
    """Another one first each time, and then the others in their order."""
    step.turn = (step.turn + 1) % len(step.clients)
    first = step.clients[step.turn]
    return [first, *(one for one in step.clients if one is not first)]


def in_order(step: GrpcStep) -> Clients:
    """As in the Corefile."""
    return step.clients


ORDERS: dict[str, Callable[[GrpcStep], Clients]] = {ROUND_ROBIN: in_turn, SEQUENTIAL: in_order}
