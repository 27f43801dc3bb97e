"""One query at a time over UDP, and the few fields of an answer that a bench reads."""

from __future__ import annotations

import contextlib
import socket
import time

from fastdns.bench.messages import Query, message

NOERROR = 0


def query(name: str, qtype: str = "A") -> bytes:
    """A query as a stub resolver sends it, with an ID of 0."""
    return message(Query(name, qtype))


def rcode(answer: bytes) -> int:
    """The answer's rcode."""
    return answer[3] & 0xF


def answer_count(answer: bytes) -> int:
    """ANCOUNT."""
    return int.from_bytes(answer[6:8], "big")


def ask(port: int, asked: bytes, timeout_s: float = 1.0) -> bytes | None:
    """Ask a server on the loopback once over UDP; None if no answer comes in time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(timeout_s)
        with contextlib.suppress(OSError):
            asking.connect(("127.0.0.1", port))
            asking.send(asked)
            return asking.recv(65535)
    return None


def wait_for_answer(port: int, asked: bytes, timeout_s: float, pause_s: float = 0.005) -> float:
    """Ask until the answer has a record; returns time.monotonic of that moment. Raises TimeoutError."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        answer = ask(port, asked, 0.2)
        if answer is not None and rcode(answer) == NOERROR and answer_count(answer):
            return time.monotonic()
        time.sleep(pause_s)
    raise TimeoutError(f"no right answer within {timeout_s} s")
