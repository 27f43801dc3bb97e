"""The process that transfers a zone from a primary server: dnspython's memory is gone with it, and nobody waits for
its GIL.

    python -m fastdns.plugins.secondary.child

frames.py says what it is asked, and how it answers.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import IO, Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset

from fastdns.children import die_with_parent
from fastdns.errors import FastdnsError, SourceError
from fastdns.plugins.secondary.catalog import members_of
from fastdns.plugins.secondary.frames import Job, Transferred
from fastdns.zonefiles.child import write
from fastdns.zonefiles.frames import FILE, ROWS
from fastdns.zonefiles.reading import Collector, batches

NICE = 5
CONNECT_S = 5.0
# Of one message. The whole transfer has LIMIT_S (source.py).
MESSAGE_S = 10.0
MAX_MESSAGES = 4_000_000


def newer(serial: int, known: int) -> bool:
    """Whether a serial is newer than another one (RFC 1982)."""
    return serial != known and (serial - known) % 2**32 < 2**31


def ask(sock: socket.socket, origin: dns.name.Name, kind: str) -> Iterator[dns.message.Message]:
    """Ask, and give the messages that come; no more than the caller takes."""
    query = dns.message.make_query(origin, kind)
    query.flags &= ~dns.flags.RD
    dns.query.send_tcp(sock, query, time.time() + MESSAGE_S)
    for _ in range(MAX_MESSAGES):
        reply, _ = dns.query.receive_tcp(sock, time.time() + MESSAGE_S, one_rr_per_rrset=True)
        if reply.id != query.id or not reply.flags & dns.flags.QR:
            raise SourceError("a message that nobody has asked for")
        if reply.rcode() != dns.rcode.NOERROR:
            raise SourceError(f"{kind}: rcode is {dns.rcode.to_text(reply.rcode())}")
        if reply.question and reply.question != query.question:
            raise SourceError("the question is another one")
        yield reply


def is_soa(rrset: dns.rrset.RRset, origin: dns.name.Name) -> bool:
    return rrset.rdtype == dns.rdatatype.SOA and rrset.name == origin


def serial_at(sock: socket.socket, origin: dns.name.Name) -> int:
    """The serial that a primary has."""
    for rrset in next(ask(sock, origin, "SOA")).answer:
        if is_soa(rrset, origin):
            return int(rrset[0].serial)
    raise SourceError("no SOA record")


def records(sock: socket.socket, origin: dns.name.Name) -> Iterator[dns.rrset.RRset]:
    """The records of a zone (AXFR), without the second SOA record, which ends it."""
    begun = False
    for message in ask(sock, origin, "AXFR"):
        for number, rrset in enumerate(message.answer):
            if not begun and not is_soa(rrset, origin):
                raise SourceError("the first record is no SOA record")
            if begun and is_soa(rrset, origin):
                if number + 1 != len(message.answer):
                    raise SourceError("there are records behind the last SOA record")
                return
            begun = True
            yield rrset
    raise SourceError("the transfer does not end")


def transfer(job: Job, primary: tuple[str, int], out: IO[bytes]) -> Transferred:
    """Transfer a zone from one primary. Raises OSError, dnspython's exceptions, SourceError."""
    origin = dns.name.from_text(job.zone)
    done = Transferred(primary=f"{primary[0]}:{primary[1]}")
    with closing(socket.create_connection(primary, CONNECT_S)) as sock:
        if job.serial is not None and not newer(serial_at(sock, origin), job.serial):
            done.unchanged = True
            return done
        sock.setblocking(False)
        collector = Collector(origin, None)
        count = 0
        collector.where = lambda: (done.primary, count)
        kept: list[tuple[dns.name.Name, Any]] = []
        for rrset in records(sock, origin):
            count += 1
            if rrset.rdclass != dns.rdataclass.IN:
                raise SourceError("a record is not of class IN")
            collector.add(rrset.name, rrset.ttl, rrset[0])
            if is_soa(rrset, origin):
                soa: Any = rrset[0]
                done.serial, done.refresh_s = soa.serial, soa.refresh
                done.retry_s, done.expire_s = soa.retry, soa.expire
            if job.catalog and rrset.rdtype in (dns.rdatatype.PTR, dns.rdatatype.TXT, dns.rdatatype.NS):
                kept.append((rrset.name, rrset[0]))
    without = collector.finish()
    done.said = collector.said
    if job.catalog:
        done.members = members_of(origin, kept)
    for batch in batches(collector.draft, without):
        write(out, ROWS, batch)
    return done


def transfer_from_any(job: Job, out: IO[bytes]) -> Transferred:
    """Ask one primary after the other, until one has the zone."""
    unchanged = None
    failed: list[str] = []
    for primary in job.primaries:
        try:
            done = transfer(job, primary, out)
        except (OSError, EOFError, dns.exception.DNSException, FastdnsError, ValueError, MemoryError) as error:
            failed.append(f"{primary[0]}:{primary[1]}: {str(error) or type(error).__name__}")
            continue
        if not done.unchanged:
            done.failed = failed
            return done
        unchanged = unchanged or done
    if unchanged is not None:
        unchanged.failed = failed
        return unchanged
    return Transferred(error=failed[-1], failed=failed)


def main() -> None:
    """Do the job of stdin."""
    asked = json.load(sys.stdin)
    die_with_parent(asked["parent"])
    gc.disable()
    os.nice(NICE)
    job = Job(**{**asked["job"], "primaries": [tuple(one) for one in asked["job"]["primaries"]]})
    out = sys.stdout.buffer
    write(out, FILE, json.dumps(asdict(transfer_from_any(job, out))).encode())
    out.flush()


if __name__ == "__main__":
    main()
