"""Signed requests, and what replies say of signatures, with dnspython."""

from __future__ import annotations

import base64
import socket
import time
from dataclasses import dataclass
from typing import Any
from unittest import mock

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.tsig

NAME = "key.example."
SECRET = bytes(range(32))
SECRET_TEXT = base64.b64encode(SECRET).decode()
ERRORS = {
    dns.tsig.PeerBadKey: "BADKEY",
    dns.tsig.PeerBadSignature: "BADSIG",
    dns.tsig.PeerBadTime: "BADTIME",
    dns.tsig.PeerBadTruncation: "BADTRUNC",
}


def key(name: str = NAME, secret: bytes = SECRET, algorithm: dns.name.Name = dns.tsig.HMAC_SHA256) -> dns.tsig.Key:
    return dns.tsig.Key(dns.name.from_text(name), secret, algorithm)


@dataclass(frozen=True)
class Said:
    """A reply. signature: "" where it is verified, the error that it tells, or "none"."""

    rcode: str
    signature: str
    records: int = 0
    truncated: bool = False


def query(qname: str, qtype: str = "A", signed: dns.tsig.Key | None = None, late_s: float = 0, **more: Any) -> Any:
    """A request of dnspython's, whose bytes are in ``wire``; late_s: signed so long ago."""
    message: Any = dns.message.make_query(qname, qtype, **more)
    if signed is not None:
        message.use_tsig(signed, signed.name)
    with mock.patch("dns.message.time.time", return_value=time.time() - late_s):
        message.wire = message.to_wire()
    return message


def read(wire: bytes | None, asked: Any, signed: dns.tsig.Key | None) -> Said:
    """What a reply says. Raises dns.tsig's errors where its own signature is wrong."""
    if wire is None:
        return Said("NO REPLY", "none")
    plain = dns.message.from_wire(wire, keyring=False)
    signature = "none"
    # Type, class and TTL of a TSIG record.
    if wire[-600:].find(b"\0\xfa\0\xff\0\0\0\0") >= 0:
        try:
            reply = dns.message.from_wire(wire, keyring=signed or True, request_mac=asked.mac or b"")
            assert reply.had_tsig
            signature = ""
        except tuple(ERRORS) as error:
            return Said(dns.rcode.to_text(plain.rcode()), ERRORS[type(error)])
    return Said(
        dns.rcode.to_text(plain.rcode()), signature, sum(map(len, plain.answer)), bool(plain.flags & dns.flags.TC)
    )


def exchange(wire: bytes, port: int, *, tcp: bool = False) -> bytes:
    """The bytes of the reply to a message."""
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as one:
        one.settimeout(5)
        one.connect(("127.0.0.1", port))
        if not tcp:
            one.send(wire)
            return one.recv(65535)
        one.sendall(len(wire).to_bytes(2, "big") + wire)
        with one.makefile("rb") as stream:
            return stream.read(int.from_bytes(stream.read(2), "big"))
