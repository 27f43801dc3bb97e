"""Steps in Python: what a plugin writes, and what such a step is given of a query.

A step is an object with ``async def serve``. It runs on the event-loop thread of each worker, beside TCP clients
and streams to upstreams: it must not block, and what it awaits must be made for asyncio. A query waits for it for
``timeout_s`` at most. Messages are dnslib's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from socket import AF_INET, AF_INET6, inet_ntop
from typing import TYPE_CHECKING

from fastdns.dns import mnemonics
from fastdns.dns.names import is_in_zone, labels_of, text_name, wire_name_as_written
from fastdns.errors import FastdnsError

if TYPE_CHECKING:
    from dnslib import DNSLabel, DNSQuestion, DNSRecord

    from fastdns.serve._values import BlockValue
    from fastdns.serve.python._step import HandOver

# Of questions inside a query, as steps in native code have it (serve/_context.pxd: MAX_DEPTH).
MAX_DEPTH = 8
QUERY_FLAGS = 0x0130  # RD, AD, CD
# What a reply repeats of them. AD would say that its data has been validated.
REPEATED_FLAGS = 0x0110  # RD, CD
CLASS_IN = 1
HEADER_BYTES = 12
TYPE_NUMBERS = {name: number for number, name in mnemonics.TYPES.items()}


class Silence(Exception):
    """Raised by a step: the client gets no reply. Raised by what is asked: there was no reply."""


class UnreadableError(FastdnsError):
    """A reply cannot be read. The client gets SERVFAIL."""


class NoReplyError(FastdnsError):
    """Raised by a step: there is no reply to be had from others. The client gets SERVFAIL."""


class TooDeepError(FastdnsError):
    """A question would be inside of more than MAX_DEPTH others: steps ask each other."""


def read(message: bytes) -> DNSRecord:
    """A message as dnslib has it. Raises UnreadableError."""
    # dnslib is imported only where a step in Python is.
    from fastdns.plugins.messages import read_message

    try:
        return read_message(message)
    except Exception as error:
        raise UnreadableError(f"dnslib: {error}") from error


def label_of(text: str) -> DNSLabel:
    """A name as dnslib has it, of its presentation form: ``\\.`` and ``\\DDD`` are read as in RFC 1035 section 5.1.
    DNSLabel itself takes such text for a name in another alphabet. Raises ValueError.
    """
    from dnslib import DNSLabel

    return DNSLabel(labels_of(wire_name_as_written(text)))


def text_of(label: DNSLabel) -> str:
    """The presentation form of a name that dnslib has, with escapes: ``label_of`` gives the name again."""
    return text_name(wire_of(label))


def wire_of(label: DNSLabel) -> bytes:
    """The wire form of a name that dnslib has."""
    return b"".join(bytes((len(part),)) + part for part in label.label) + b"\0"


@dataclass(eq=False)
class Request:
    """One query, as a step sees it.

    message: the question that is asked here, as a message. Where a step before this one has changed the question,
    it is the changed one. client: the client's address (see also client_address), 4 or 16 bytes, and port. stream:
    whether it came over TCP or another stream. server: the listener, as metrics name it. local: the address of
    this server that was asked, 4 or 16 bytes; empty where it is not known. timeout_s: how long the client still
    waits for this step.
    """

    message: bytes
    client: bytes
    client_port: int
    stream: bool
    server: str
    local: bytes
    timeout_s: float
    # What the step reads of plugins by name (PythonStep.values); "" where there is none.
    values: Mapping[str, str]
    # Of the counters of the block's zone; over the last one where it is not counted.
    zone_slot: int
    # Zones of the block, in wire form and as text, the longest first.
    zones: Sequence[tuple[bytes, str]]
    # Where in the message the question's name ends, and where its OPT record stands.
    name_end: int
    opt: tuple[int, int]
    # Ask the steps behind this one, or with another message the whole server. None: there is no reply.
    send: Callable[[bytes | None], Awaitable[bytes | None]]
    # What the native half of a step has handed along, where it has one (PythonStep.in_chain).
    handed: bytes = b""

    @property
    def client_address(self) -> str:
        """The client's address as text."""
        return inet_ntop(AF_INET if len(self.client) == 4 else AF_INET6, self.client)

    @property
    def zone(self) -> str:
        """The zone of the block that the name belongs to, the longest one."""
        name = self.message[HEADER_BYTES : self.name_end].lower()
        return next((text for wire, text in self.zones if is_in_zone(name, wire)), ".")

    @property
    def qname(self) -> str:
        """The name that is asked, as text: fully qualified, as the client has spelt it, with escapes."""
        return text_name(self.message[HEADER_BYTES : self.name_end])

    @property
    def qtype(self) -> int:
        """The number of the type that is asked. To look at these two first costs less than dnslib."""
        return int.from_bytes(self.message[self.name_end : self.name_end + 2], "big")

    @cached_property
    def record(self) -> DNSRecord:
        """The query as dnslib has it: header (of the flags RD and CD), question, OPT record.
        ``request.record.reply()`` begins the reply.
        """
        at, size = self.opt
        flags = int.from_bytes(self.message[2:4], "big") & REPEATED_FLAGS
        numbers = (flags, 1, 0, 0, 1 if size else 0)
        header = self.message[:2] + b"".join(number.to_bytes(2, "big") for number in numbers)
        question = self.message[HEADER_BYTES : self.name_end + 4]
        return read(header + question + self.message[at : at + size])

    @property
    def question(self) -> DNSQuestion:
        """What is asked, as dnslib has it."""
        return self.record.q

    async def next(self) -> DNSRecord:
        """What the plugins behind this one answer to the question.

        Raises Silence where there is no reply, UnreadableError.
        """
        return await self._reply(None)

    async def ask(self, name: str | DNSLabel, kind: str | int = "A") -> DNSRecord:
        """What the whole server answers to another question of class IN, as if the client had asked it.

        name: its presentation form, or dnslib's. kind: "AAAA", or a type's number. Raises Silence where there is no
        reply, ValueError for what is no name or type, TooDeepError, UnreadableError.
        """
        wire = wire_name_as_written(name) if isinstance(name, str) else wire_of(name)
        number = kind if isinstance(kind, int) else TYPE_NUMBERS.get(kind.upper())
        if number is None:
            raise ValueError(f"{kind!r} is no type of records")
        at, size = self.opt
        opt = self.message[at : at + size]
        flags = int.from_bytes(self.message[2:4], "big") & QUERY_FLAGS
        numbers = (int.from_bytes(self.message[:2], "big"), flags, 1, 0, 0, 1 if opt else 0, number, CLASS_IN)
        parts = [value.to_bytes(2, "big") for value in numbers]
        return await self._reply(b"".join((*parts[:6], wire, *parts[6:], opt)))

    async def _reply(self, message: bytes | None) -> DNSRecord:
        reply = await self.send(message)
        if reply is None:
            raise Silence
        return read(reply)

    def is_answered_by(self, reply: bytes) -> bool:
        """Whether a message is a reply to this question, and to no other."""
        name, kind = slice(HEADER_BYTES, self.name_end), slice(self.name_end, self.name_end + 4)
        return (
            len(reply) >= kind.stop
            and reply[2] & 0xF8 == 0x80
            and reply[4:6] == b"\0\1"
            and reply[kind] == self.message[kind]
            and reply[name].lower() == self.message[name].lower()
        )


class PythonStep:
    """A step of one block. A plugin's ``python_step`` makes one for each block, in each worker.

    timeout_s: how long a query waits for it, over 0 and at most 3600; then the client gets SERVFAIL and the task is
    cancelled. cacheable: a cache before it keeps its replies, as it keeps an upstream's, by their TTLs. values: the
    names of plugins' values (serve/_values.pxd) that it reads in ``request.values``, 16 at most.
    """

    timeout_s = 5.0
    cacheable = False
    values: tuple[str, ...] = ()

    def in_chain(self, plugin: str, first_counter: int, values: Sequence[BlockValue]) -> HandOver:
        """What stands for it among the native steps. A step with a native half makes a subclass of HandOver."""
        from fastdns.serve.python._step import HandOver

        return HandOver(self, plugin, first_counter, values)

    async def start(self) -> None:
        """The worker is about to serve. An exception ends it: a start or a reload fails."""

    async def serve(self, request: Request) -> DNSRecord | bytes | None:
        """The reply to one query, as dnslib has it or as a message; None: the next plugin's. Raises Silence: none;
        and NoReplyError.

        Any other exception gives the client SERVFAIL, is logged and counted. Several calls run at a time.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """The worker has answered all its clients."""
