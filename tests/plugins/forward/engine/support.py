"""A forwarder without processes: hot thread, tables of questions, streams, from the text of a Corefile. Upstreams
that do as a test tells them, and clients.

``with Upstream(script) as up, Forwarder(f"forward . {up.to}") as forwarder: reply = forwarder.ask("www.example.")``
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from fastdns.corefile import load
from fastdns.metrics._stats import Stats, upstream_layout
from fastdns.netaddrs import socket_address
from fastdns.plugins.api import Runtime
from fastdns.plugins.cache.shared import share_caches
from fastdns.plugins.forward.desk import Desk
from fastdns.plugins.forward.engine._engine import ForwardEngine
from fastdns.plugins.forward.routes import RouteTable
from fastdns.process.assembly import build_tables
from fastdns.serve._worker import Worker
from fastdns.serve._zones import NativeStep, ServerTable
from fastdns.transports._slow import PARKED, SlowPath
from fastdns.transports._udp import HotLoop
from tests.support import free_port, wait_until

HOST = "127.0.0.1"
NAME = "www.example.org."
HOT, SLOW = 0, 1
SO_RCVBUFFORCE = 33


def a(message: dns.message.Message, address: str = "192.0.2.1", ttl_s: int = 300) -> dns.message.Message:
    """message with one more answer to its question, of type A."""
    message.answer.append(dns.rrset.from_text(message.question[0].name, ttl_s, "IN", "A", address))
    return message


def response(query: dns.message.Message, rcode: int = 0, flags: int = 0) -> dns.message.Message:
    """An empty reply, as of a resolver, with more flags; it has an OPT record only where with_options adds it."""
    message = dns.message.Message(query.id)
    message.flags = dns.flags.QR | dns.flags.RA | (query.flags & dns.flags.RD) | flags
    message.question = list(query.question)
    message.set_rcode(rcode)
    return message


def addresses(message: dns.message.Message) -> list[str]:
    """The data of all answers, in order."""
    return [str(data) for rrset in message.answer for data in rrset]


@dataclass(frozen=True)
class Asked:
    """A query that has come to an upstream. stream: None over UDP."""

    wire: bytes
    peer: Any
    at: float
    stream: socket.socket | None = None

    @property
    def message(self) -> dns.message.Message:
        return dns.message.from_wire(self.wire)

    @property
    def name(self) -> str:
        """The question's name as it was spelled."""
        return self.message.question[0].name.to_text()


Reply = dns.message.Message | bytes
# What to say to a query: replies, none of them for silence.
Script = Callable[[Asked], Iterable[Reply] | Reply | None]


def good(asked: Asked) -> Reply:
    """The answer that most upstreams give here."""
    return a(response(asked.message))


def saying(address: str) -> Script:
    """The script of an upstream whose answer can be told from others'."""
    return lambda asked: a(response(asked.message), address)


def question(number: int, kind: int = 1) -> bytes:
    """A query without EDNS for n<number>.example., made quickly, with the number's lower bits as its ID."""
    label = b"n%d" % number
    name = bytes((len(label),)) + label + b"\7example\0"
    return struct.pack(">6H", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + name + struct.pack(">2H", kind, 1)


def with_rcode(rcode: int) -> Script:
    """The script of an upstream that always answers with a code."""
    return lambda asked: response(asked.message, rcode)


def echo(asked: Asked) -> bytes:
    """The quickest reply: the question, and no records."""
    return asked.wire[:2] + b"\x81\x80" + asked.wire[4:]


def silent(asked: Asked) -> None:
    """The script of an upstream that does not answer."""


class Upstream:
    """``with Upstream(script) as up``: serves a port of the loopback over UDP, and over TCP where tcp has a script.

    asked has every query. What a script does not answer can be answered later with ``say``. port 0: a free one.
    """

    def __init__(
        self, script: Script = good, *, tcp: Script | None = None, host: str = HOST, port: int = 0
    ) -> None:
        self.script = script
        self.tcp = tcp
        self.host = host
        self.port = port
        self.asked: list[Asked] = []
        self.arrived: queue.Queue[Asked] = queue.Queue()
        self.threads: list[threading.Thread] = []
        self.streams: list[socket.socket] = []
        self.ending = False

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        while True:
            self.udp = socket.socket(family, socket.SOCK_DGRAM)
            big_buffer(self.udp)
            self.udp.bind(socket_address(self.host, self.port))
            self.port = self.udp.getsockname()[1]
            if self.tcp is None:
                break
            self.listener = socket.socket(family, socket.SOCK_STREAM)
            try:
                self.listener.bind(socket_address(self.host, self.port))
            except OSError:
                self.udp.close()
                self.listener.close()
                self.port = 0
                continue
            self.listener.listen()
            self.start(self.accept)
            break
        self.start(self.serve)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ending = True
        with contextlib.suppress(OSError):
            # It wakes a thread that has blocked in recv.
            self.udp.shutdown(socket.SHUT_RDWR)
        if self.tcp is not None:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        for stream in list(self.streams):
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(5)
        self.udp.close()

    def start(self, body: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=body, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    @property
    def to(self) -> str:
        """As a Corefile names it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def serve(self) -> None:
        """Datagrams, until the end."""
        while not self.ending:
            try:
                wire, peer = self.udp.recvfrom(65535)
            except OSError:
                continue
            if not self.ending and peer is not None and peer[1]:
                self.take(Asked(wire, peer, time.monotonic()), self.script)

    def accept(self) -> None:
        """Connections, until the end."""
        while not self.ending:
            try:
                stream, peer = self.listener.accept()
            except OSError:
                return
            self.streams.append(stream)
            self.start(self.serve_stream, stream, peer)

    def serve_stream(self, stream: socket.socket, peer: Any) -> None:
        assert self.tcp is not None
        with stream, stream.makefile("rb") as file, contextlib.suppress(OSError):
            while len(length := file.read(2)) == 2:
                wire = file.read(struct.unpack(">H", length)[0])
                self.take(Asked(wire, peer, time.monotonic(), stream), self.tcp)

    def take(self, asked: Asked, script: Script) -> None:
        self.asked.append(asked)
        replies = script(asked)
        if replies is not None:
            many = [replies] if isinstance(replies, bytes | dns.message.Message) else replies
            self.say(asked, *many)
        self.arrived.put(asked)

    def later(self, script: Script, delay_s: float) -> Script:
        """A script that answers as another one does, after a while; others are not kept waiting."""

        def answer(asked: Asked) -> None:
            replies = script(asked)
            assert isinstance(replies, bytes | dns.message.Message)
            timer = threading.Timer(delay_s, self.say, (asked, replies))
            timer.daemon = True
            timer.start()

        return answer

    def say(self, asked: Asked, *replies: Reply) -> None:
        """Answer a query, or answer it once more."""
        for reply in replies:
            wire = reply if isinstance(reply, bytes) else reply.to_wire(max_size=65535)
            try:
                if asked.stream is not None:
                    asked.stream.sendall(struct.pack(">H", len(wire)) + wire)
                else:
                    self.udp.sendto(wire, asked.peer)
            except OSError:
                # Nobody is there any more; or we are not.
                return

    def next(self, limit_s: float = 5.0) -> Asked:
        """The next query that has not been taken from here yet."""
        return self.arrived.get(timeout=limit_s)

    def over(self, *, tcp: bool) -> list[Asked]:
        """What was asked over TCP, or over UDP, but for health probes."""
        return [asked for asked in self.asked if (asked.stream is not None) == tcp and not is_probe(asked)]

    @property
    def questions(self) -> list[Asked]:
        """What was asked over UDP, but for health probes."""
        return self.over(tcp=False)

    @property
    def probes(self) -> list[Asked]:
        """The health probes."""
        return [asked for asked in self.asked if is_probe(asked)]


def is_probe(asked: Asked) -> bool:
    """Whether a query is a health probe: tests ask for no NS records themselves."""
    return asked.wire[-4:] == b"\0\2\0\1"


def big_buffer(sock: socket.socket, size: int = 64 << 20) -> None:
    """Room for a burst of datagrams, beyond the system's limit where we may."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)


@contextlib.contextmanager
def closed_port(host: str = HOST):
    """The address and port of nobody: what is sent there is refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    port = free_port()
    # Held over both, so that no other test takes it by chance; a connected socket hears only its peer, and what
    # others send there is refused.
    with (
        socket.socket(family, socket.SOCK_STREAM) as stream,
        socket.socket(family, socket.SOCK_DGRAM) as datagrams,
    ):
        stream.bind((host, port))
        datagrams.bind((host, port))
        datagrams.connect((host, 1))
        yield f"{host}:{port}"


def forward(*to: str, zone: str = ".", **options: object) -> str:
    """The text of a stanza."""
    lines = [f"{name} {value}".rstrip() for name, value in options.items()]
    return "\n".join([f"forward {zone} {' '.join(to)} {{", *lines, "}"])


class Client:
    """A socket that asks over UDP."""

    def __init__(self, port: int, host: str = HOST, source: str = "") -> None:
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        big_buffer(self.sock)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect((host, port))

    def send(self, message: dns.message.Message | bytes) -> None:
        self.sock.send(message if isinstance(message, bytes) else message.to_wire())

    def receive(self, limit_s: float = 8.0) -> dns.message.Message:
        return dns.message.from_wire(self.receive_wire(limit_s))

    def receive_wire(self, limit_s: float = 8.0) -> bytes:
        self.sock.settimeout(limit_s)
        return self.sock.recv(65535)

    def nothing_comes(self, within_s: float) -> bool:
        """Whether no reply arrives for so long."""
        try:
            self.receive_wire(within_s)
        except TimeoutError:
            return True
        return False


def drain(client: Client, count: int) -> list[int]:
    """The codes of so many replies."""
    return [client.receive_wire()[3] & 0xF for _ in range(count)]


class Forwarder:
    """``with Forwarder(directives) as forwarder``: one server block with them, one hot thread, one slow one.

    blocks: more server blocks, as text. room: questions that may be in flight. socket_s: how old a UDP socket
    towards an upstream may become. sockets, max_connections: how many there may be to one, over UDP and streams.
    above: steps before those of the first block.
    """

    def __init__(
        self, directives: str, *, zone: str = ".", blocks: str = "", room: int = 1024, socket_s: float = 10,
        sockets: int = 16, max_connections: int | None = None, above: Sequence[NativeStep] = (),
    ) -> None:  # fmt: skip
        text = f"{zone}:1053 {{\nbind {HOST}\nerrors\n{directives}\n}}\n" + blocks
        self.config = load(text, environ={})
        self.table = RouteTable()
        self.routes = asyncio.run(self.table.find(self.config))
        self.stats = Stats(2)
        self.caches = share_caches(self.config)
        runtime = Runtime(prepared={"forward": self.routes, "cache": self.caches})
        self.tables, self.steps = build_tables(self.config, runtime, {})
        if above:
            self.tables[0] = ServerTable([(zone, 0, None)], [[*above, *self.steps[0].values()]])
        self.worker = Worker(self.tables[0], None, 0, self.stats, HOT)
        stanzas = max(1, len(self.routes.stanzas))
        self.engine, self.slow_engine = (
            ForwardEngine(
                self.routes.table(), self.table.shared, self.stats, slot, room, stanzas, socket_s, sockets
            )
            for slot in (HOT, SLOW)
        )
        slow = [Worker(table, None, 0, self.stats, SLOW) for table in self.tables]
        self.slow = SlowPath(slow, [self.slow_engine])
        self.clients: list[Client] = []
        self.max_connections = max_connections

    def __enter__(self) -> Self:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        big_buffer(self.udp)
        self.udp.bind((HOST, 0))
        self.port: int = self.udp.getsockname()[1]
        self.hot = HotLoop(self.worker, [(self.udp.fileno(), self.tables[0], False)], [self.engine])
        self.loop = asyncio.new_event_loop()
        self.desk = Desk(self.routes, self.loop, self.max_connections)
        self.loop.call_soon(self.desk.attach, self.engine.streams)
        self.loop.call_soon(self.desk.attach, self.slow_engine.streams)
        self.loop.call_soon(self.loop.add_reader, self.slow.fd, self.slow.process)
        self.threads = [
            threading.Thread(target=self.hot.run, daemon=True),
            threading.Thread(target=self.loop.run_forever, daemon=True),
        ]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        for client in self.clients:
            client.sock.close()
        if error is not None:
            print(f"hot {self.counters()}, slow {self.counters(SLOW)}, out {self.out}")

    def stop(self) -> None:
        """End both threads; what waits is answered first."""
        if not self.threads:
            return
        self.hot.stop()
        self.threads[0].join(10)
        self.call(self.desk.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.threads[1].join(10)
        self.loop.close()
        self.udp.close()
        self.threads = []

    def call(self, what: Any) -> Any:
        """Run a coroutine on the slow thread."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(10)

    def client(self, source: str = "") -> Client:
        self.clients.append(Client(self.port, source=source))
        return self.clients[-1]

    def ask(
        self, name: str = NAME, kind: str = "A", *, limit_s: float = 8.0, **options: Any
    ) -> dns.message.Message:
        """Ask once, over UDP."""
        return self.exchange(dns.message.make_query(name, kind, **options), limit_s)

    def exchange(self, query: dns.message.Message, limit_s: float = 8.0) -> dns.message.Message:
        """The reply to a query over UDP."""
        client = Client(self.port)
        try:
            client.send(query)
            reply = client.receive(limit_s)
        finally:
            client.sock.close()
        assert reply.id == query.id
        return reply

    def ask_over_tcp(
        self, name: str = NAME, kind: str = "A", *, limit_s: float = 8.0, **options: Any
    ) -> dns.message.Message:
        """Ask once, as a TCP listener does."""
        query = dns.message.make_query(name, kind, **options)

        async def ask() -> bytes:
            delivered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            reply = self.slow.serve(0, query.to_wire(), socket.inet_aton(HOST), 5353, delivered.set_result)
            if reply is not PARKED:
                assert isinstance(reply, bytes)
                return reply
            async with asyncio.timeout(limit_s):
                while not delivered.done():
                    self.slow.tick()
                    await asyncio.sleep(0.005)
            return delivered.result()

        reply = dns.message.from_wire(self.call(ask()))
        assert reply.id == query.id
        return reply

    @property
    def out(self) -> int:
        """Questions in flight in the hot thread's table, health probes included."""
        return self.engine.outstanding

    def counters(self, slot: int = HOT) -> dict[str, int]:
        """The counters of the hot thread that are above 0."""
        return {name: count for name, count in self.stats.thread(slot).items() if count}

    def count(self, name: str) -> int:
        """A counter of the hot thread."""
        return self.counters().get(name, 0)

    def failed(self, slot: int = HOT) -> dict[str, int]:
        """How many queries of the hot thread have failed, by reason."""
        return {reason: count for (reason, _), count in self.stats.failed(slot).items()}

    def of_upstream(self, name: str, place: int = 0) -> int:
        """A counter of an upstream, by its place in the Corefile."""
        at, _ = upstream_layout()[name]
        return int(self.stats.upstream_values(HOT, self.routes.upstreams[place].slot)[at])

    def errors(self) -> list[str]:
        """What the errors plugin has to log, without addresses."""
        return [text for _, _, _, _, text, _ in self.worker.take_errors()]

    def settles(self) -> None:
        """Wait until nothing is in flight."""
        wait_until(lambda: self.out == 0, why="nothing is in flight any more")
