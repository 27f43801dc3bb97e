"""Queries as bytes, and the least of answers that a bench has to read."""

from __future__ import annotations

import contextlib
import socket
import time

TYPES = {"A": 1, "PTR": 12, "AAAA": 28, "SRV": 33}
NOERROR = 0


def query(name: str, qtype: str = "A", ident: int = 0) -> bytes:
    """A query with RD set, as a stub resolver sends it."""
    labels = [label.encode() for label in name.rstrip(".").split(".")]
    wire = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    header = ident.to_bytes(2, "big") + b"\1\0\0\1\0\0\0\0\0\0"
    return header + wire + TYPES[qtype].to_bytes(2, "big") + b"\0\1"


def rcode(answer: bytes) -> int:
    """The answer's rcode."""
    return answer[3] & 0xF


def answer_count(answer: bytes) -> int:
    """ANCOUNT."""
    return int.from_bytes(answer[6:8], "big")


def ask(port: int, message: bytes, timeout_s: float = 1.0) -> bytes | None:
    """One exchange over UDP with a server on the loopback; None without an answer in time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(timeout_s)
        with contextlib.suppress(OSError):
            asking.connect(("127.0.0.1", port))
            asking.send(message)
            return asking.recv(65535)
    return None


def wait_for_answer(port: int, message: bytes, timeout_s: float, pause_s: float = 0.005) -> float:
    """Ask until the answer holds a record; gives time.monotonic of that moment. Raises TimeoutError."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        answer = ask(port, message, 0.2)
        if answer is not None and rcode(answer) == NOERROR and answer_count(answer):
            return time.monotonic()
        time.sleep(pause_s)
    raise TimeoutError(f"no right answer within {timeout_s} s")
