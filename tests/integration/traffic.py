"""An upstream that tests script, and clients that ask at a steady rate and once more."""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Sequence

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.integration.namespaces import Namespace
from tests.support import wait_until

TTL_S = 300
MAX_UDP_BYTES = 1232
SOA = f"ns.example.org. root.example.org. 1 7200 3600 86400 {TTL_S}"
RECORDS = {
    ("www.example.org.", "A"): ["192.0.2.80"],
    ("www.example.org.", "AAAA"): ["2001:db8::80"],
    ("alias.example.org.", "A"): ["CNAME www.example.org.", "192.0.2.80"],
    ("80.2.0.192.in-addr.arpa.", "PTR"): ["www.example.org."],
    ("big.example.org.", "TXT"): [f'"{number:03} {"x" * 56}"' for number in range(40)],
}
# Every name below it has this address: names that no cache has.
ANY = dns.name.from_text("any.example.org.")
ANY_ADDRESS = "192.0.2.81"


def answer(query: dns.message.Message) -> dns.message.Message:
    """What the world says."""
    reply = dns.message.make_response(query, recursion_available=True)
    question = query.question[0]
    name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
    data = RECORDS.get((name, kind), [])
    if question.name.is_subdomain(ANY) and kind == "A":
        data = [ANY_ADDRESS]
    owner = name
    for one in data:
        if one.startswith("CNAME "):
            reply.answer.append(dns.rrset.from_text(owner, TTL_S, "IN", "CNAME", owner := one.split()[1]))
    if records := [one for one in data if not one.startswith("CNAME ")]:
        reply.answer.append(dns.rrset.from_text(owner, TTL_S, "IN", kind, *records))
    else:
        reply.authority.append(dns.rrset.from_text("example.org.", TTL_S, "IN", "SOA", SOA))
        if not any(name == known for known, _ in RECORDS):
            reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply


class Udp(socketserver.BaseRequestHandler):
    """One query in a datagram."""

    server: UdpServer

    def handle(self) -> None:
        message, listening = self.request
        query = dns.message.from_wire(message)
        self.server.asked[query.question[0].name.to_text().lower()] += 1
        reply = answer(query)
        # By default what the query takes is the most, and more an error.
        wire = reply.to_wire(max_size=65535)
        if len(wire) > min(MAX_UDP_BYTES, max(512, query.payload)):
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            wire = reply.to_wire()
        listening.sendto(wire, self.client_address)


class Tcp(socketserver.StreamRequestHandler):
    """A connection of queries."""

    server: TcpServer

    def handle(self) -> None:
        # Whoever asks may go at any time.
        with contextlib.suppress(ConnectionError):
            while length := self.rfile.read(2):
                query = dns.message.from_wire(self.rfile.read(struct.unpack(">H", length)[0]))
                self.server.asked[query.question[0].name.to_text().lower()] += 1
                wire = answer(query).to_wire(max_size=65535)
                self.wfile.write(struct.pack(">H", len(wire)) + wire)


class UdpServer(socketserver.UDPServer):
    """asked: how often for which name."""

    def __init__(self, address: str, asked: Counter[str]) -> None:
        self.address_family = family(address)
        self.asked = asked
        super().__init__((address, 53), Udp)


class TcpServer(socketserver.ThreadingTCPServer):
    """As UdpServer."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: str, asked: Counter[str]) -> None:
        self.address_family = family(address)
        self.asked = asked
        super().__init__((address, 53), Tcp)


def family(address: str) -> socket.AddressFamily:
    """The family of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class World:
    """``with World(network, addresses) as world``: servers of all names at port 53 of addresses in a network.

    udp, tcp: how often they were asked for which name.
    """

    def __init__(self, network: Namespace, addresses: Sequence[str]) -> None:
        self.network = network
        self.addresses = addresses
        self.udp: Counter[str] = Counter()
        self.tcp: Counter[str] = Counter()

    def __enter__(self) -> World:
        with contextlib.ExitStack() as stack, self.network.inside():
            for address in self.addresses:
                for server in (UdpServer(address, self.udp), TcpServer(address, self.tcp)):
                    stack.callback(server.server_close)
                    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
                    stack.callback(server.shutdown)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()


class Lookup:
    """A name to ask for, and where it is on its way. Each try has a port of its own."""

    def __init__(self, number: int, name: str, address: str) -> None:
        self.name = name
        self.wanted = socket.inet_aton(address)
        self.wire = dns.message.make_query(name, "A", id=number & 0xFFFF).to_wire()
        self.tries = 0
        self.socket: socket.socket | None = None
        self.sent_at = 0.0


class Lookups:
    """``with Lookups(network, service, names, rate)``: a steady load over UDP until the block ends.

    As the C library of Alpine does: unconnected, so that a port unreachable is not heard; without an answer within
    TIMEOUT_S asked once more. names: what to ask for in turns, and the address to expect; ``*`` is a number that is
    new each time.
    """

    TIMEOUT_S = 1.0

    def __init__(self, network: Namespace, service: str, names: Sequence[tuple[str, str]], rate: int = 300) -> None:
        self.network = network
        self.service = service
        self.names = itertools.cycle(names)
        self.rate = rate
        self.sent = self.answered = self.retried = 0
        self.failed: list[str] = []
        self.waiting: dict[int, Lookup] = {}
        self.selector = selectors.DefaultSelector()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self) -> Lookups:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopping.set()
        self.thread.join(20)
        self.selector.close()

    def run(self) -> None:
        """Send, receive, repeat, until told to stop and nothing waits."""
        begun = time.monotonic()
        with self.network.inside():
            while self.waiting or not self.stopping.is_set():
                due = 0 if self.stopping.is_set() else int((time.monotonic() - begun) * self.rate) - self.sent
                # After a pause of this process: a burst would measure buffers.
                for _ in range(min(due, 20)):
                    name, address = next(self.names)
                    self.sent += 1
                    self.send(Lookup(self.sent, name.replace("*", str(self.sent)), address))
                if due > 20:
                    begun += (due - 20) / self.rate
                for key, _ in self.selector.select(0.005):
                    self.receive(key.data)
                self.repeat()

    def send(self, lookup: Lookup) -> None:
        """One try, from a new port."""
        lookup.tries += 1
        lookup.sent_at = time.monotonic()
        lookup.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        lookup.socket.setblocking(False)
        self.selector.register(lookup.socket, selectors.EVENT_READ, lookup)
        # No route while nobody is ready: there will be no answer.
        with contextlib.suppress(OSError):
            lookup.socket.sendto(lookup.wire, (self.service, 53))
        self.waiting[id(lookup)] = lookup

    def end(self, lookup: Lookup) -> None:
        """This try is over."""
        assert lookup.socket is not None
        self.selector.unregister(lookup.socket)
        lookup.socket.close()
        del self.waiting[id(lookup)]

    def receive(self, lookup: Lookup) -> None:
        """The answer, which must be right at once."""
        assert lookup.socket is not None
        try:
            reply, (peer, port) = lookup.socket.recvfrom(4096)
        except OSError:
            return
        self.end(lookup)
        rcode = reply[3] & 15
        if (peer, port, reply[:2], rcode) != (self.service, 53, lookup.wire[:2], 0) or lookup.wanted not in reply:
            self.failed.append(f"{lookup.name}: rcode {rcode} from {peer}: {reply.hex()}")
        self.answered += 1

    def repeat(self) -> None:
        """Ask again what has not been answered in time. What was asked twice has failed."""
        now = time.monotonic()
        for lookup in list(self.waiting.values()):
            if now - lookup.sent_at < self.TIMEOUT_S:
                # In the order in which they were sent.
                return
            self.end(lookup)
            if lookup.tries > 1:
                self.failed.append(f"{lookup.name}: no answer to two queries")
            else:
                self.retried += 1
                self.send(lookup)

    def go_on(self, count: int) -> None:
        """Let so many more be sent."""
        target = self.sent + count
        wait_until(lambda: self.sent >= target, 30, f"{count} lookups to be sent")
