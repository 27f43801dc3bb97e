"""The load generator: asks a DNS server as fast as it answers, or at a rate, and measures it."""

from __future__ import annotations

from collections.abc import Iterable

from fastdns.bench._questions import Questions
from fastdns.bench.address import Server
from fastdns.bench.errors import BenchUsageError
from fastdns.bench.messages import Query, edns, message
from fastdns.bench.result import Result as LoadResult
from fastdns.bench.runner import How, run

__all__ = ["LoadResult", "measure"]


def measure(
    host: str,
    queries: Iterable[tuple[str, str]],
    *,
    port: int = 53,
    seconds: float = 0.0,
    count: int = 0,
    rate: float = 0.0,
    outstanding: int | None = None,
    clients: int = 16,
    processes: int = 1,
    timeout_s: float = 5.0,
    transport: str = "udp",
    dnssec_ok: bool = False,
) -> LoadResult:
    """Ask a server these queries, names and types, again and again, for so many seconds or so many times.

    rate: queries a second, whatever the server does (open loop): a latency counts from when its query was due. 0:
    the next query is sent when one is answered (closed loop). outstanding: queries that are not answered yet, at
    most; 100 in a closed loop. transport: as with ``fastdns bench -m``. clients: sockets, or connections.

    The generator runs in processes that are forked: call it before threads are started. Ctrl-C ends the run, and
    the result is what there is. Raises BenchError where the server cannot be asked.
    """
    if not seconds and not count:
        raise BenchUsageError("seconds or count expected: a run needs an end")
    if not 0 < port < 65536 or clients < 1 or not 0 < processes <= clients:
        raise BenchUsageError("a port of 1 to 65535, and at least one client for each process expected")
    opt = edns(dnssec_ok=True) if dnssec_ok else b""
    try:
        messages = [message(Query(name, kind), opt) for name, kind in queries]
    except ValueError as error:
        raise BenchUsageError(str(error)) from None
    if not messages:
        raise BenchUsageError("at least one query expected")
    how = How(
        seconds=seconds,
        count=count,
        outstanding=outstanding,
        clients=clients,
        processes=processes,
        timeout_s=timeout_s,
        rate=rate,
        transport=transport,
    )
    return run(Server(host, port), Questions(messages), how).result
