"""The load generator and the echo, against each other and against servers that misbehave."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fastdns.bench import _echo, _load
from fastdns.bench._echo import Echo
from fastdns.bench._load import Load
from fastdns.bench.exchange import query
from fastdns.bench.result import BUCKETS, SUBS, Result, bucket_limit_ns

pytestmark = pytest.mark.native

QUERIES = [query(f"name-{i}.example", "AAAA" if i % 2 else "A") for i in range(7)]


@contextmanager
def echo(extra: int = 16) -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as served:
        served.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 20_000))
        served.bind(("127.0.0.1", 0))
        server = Echo(served.fileno(), extra)
        running = threading.Thread(target=server.run)
        running.start()
        try:
            yield served.getsockname()[1]
        finally:
            server.stop()
            running.join()


@contextmanager
def server(answer: Callable[[bytes], list[bytes]]) -> Iterator[int]:
    """A server that answers each query with the given messages."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as served:
        served.settimeout(0.02)
        served.bind(("127.0.0.1", 0))
        ended = threading.Event()

        def run() -> None:
            while not ended.is_set():
                try:
                    message, client = served.recvfrom(4096)
                except TimeoutError:
                    continue
                for reply in answer(message):
                    served.sendto(reply, client)

        running = threading.Thread(target=run)
        running.start()
        try:
            yield served.getsockname()[1]
        finally:
            ended.set()
            running.join()


def ask(port: int, count: int, **how: int | float) -> Result:
    load = Load("127.0.0.1", port, QUERIES, **{"outstanding": 8, "sockets": 2, "timeout_s": 0.1, **how})
    try:
        return load.run(count=count)
    finally:
        load.close()


def answered(message: bytes, *, rcode: int = 0, flags: int = 0x80) -> bytes:
    return message[:2] + bytes([message[2] | flags, rcode]) + message[4:]


def test_the_compiled_modules_are_what_runs() -> None:
    assert _load.__file__.endswith(".so")
    assert _echo.__file__.endswith(".so")


@pytest.mark.parametrize(("outstanding", "sockets"), [(1, 1), (256, 16), (100, 1), (300, 10), (7, 3), (2, 9)])
def test_each_query_is_answered_once(outstanding: int, sockets: int) -> None:
    with echo() as port:
        result = ask(port, 3000, outstanding=outstanding, sockets=sockets, timeout_s=0.2)
    assert (result.sent, result.answered + result.lost, result.mismatched) == (3000, 3000, 0)
    # A burst may be more than a server's socket holds.
    assert result.lost == 0 or outstanding > 64
    assert result.rcodes[0] == result.answered == sum(count for _, count in result.histogram)
    assert 0 < result.percentile_us(50) <= result.percentile_us(99) <= result.max_ns / 1000


def test_a_time_ends_a_run_and_the_next_starts_anew() -> None:
    with echo() as port:
        load = Load("127.0.0.1", port, QUERIES, outstanding=16, sockets=4)
        first, second = load.run(seconds=0.05), load.run(count=10)
        load.close()
    assert first.answered > 10
    assert second.answered == second.sent == 10


@pytest.mark.parametrize("extra", [0, 16, 900])
def test_the_echo_is_as_long_as_wanted(extra: int) -> None:
    with echo(extra) as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        asking.sendto(QUERIES[0], ("127.0.0.1", port))
        answer = asking.recv(4096)
    assert len(answer) == len(QUERIES[0]) + extra
    assert answer[: len(QUERIES[0])] == answered(QUERIES[0])


def test_a_silent_server_loses_queries() -> None:
    with server(lambda message: []) as port:
        result = ask(port, 8)
    assert (result.sent, result.answered, result.lost) == (8, 0, 8)
    assert result.percentile_us(99) == 0


def test_rcodes_and_truncation_are_counted() -> None:
    with server(lambda message: [answered(message, rcode=3, flags=0x82)]) as port:
        result = ask(port, 20)
    assert result.rcodes[3] == result.truncated == 20


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "another ID": lambda message: bytes([message[0] ^ 0x80]) + answered(message)[1:],
    "another question": lambda message: answered(message)[:-6] + b"\0\0" + answered(message)[-4:],
    "no answer but a query": lambda message: message,
    "cut in the question": lambda message: answered(message)[:-1],
    "shorter than a header": lambda message: answered(message)[:11],
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_no_answer(wrong: Callable[[bytes], bytes]) -> None:
    with server(lambda message: [wrong(message), answered(message), answered(message)]) as port:
        result = ask(port, 20)
    assert result.answered == 20
    assert result.mismatched == 20
    # The last answers' second copies may come after the end.
    assert result.duplicates <= 20


def test_nobody_at_the_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    result = ask(port, 20)
    assert result.answered == 0
    assert result.errors > 0


@pytest.mark.parametrize(
    ("queries", "how"),
    [
        ([], {}),
        ([b"\0" * 12], {}),
        (QUERIES, {"outstanding": 0, "sockets": 2}),
        (QUERIES, {"outstanding": 1, "sockets": 0}),
        (QUERIES, {"outstanding": 1 << 20, "sockets": 1}),
    ],
)
def test_what_cannot_be_asked_is_refused(queries: list[bytes], how: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        Load("127.0.0.1", 53, queries, **how)


def test_buckets_leave_no_gap_and_err_little() -> None:
    limits = [bucket_limit_ns(bucket) for bucket in range(BUCKETS)]
    assert limits == sorted(set(limits))
    assert all(above <= below * (1 + 1 / SUBS) + 1 for below, above in itertools.pairwise(limits))
