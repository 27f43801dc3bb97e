"""The other side of test_hot_thread, in a process of its own: clients of every kind, and the upstream.

Prints the upstream's port, reads the server's, says when every kind has been answered, and after another line of
input prints when each query was asked and answered: JSON, kind to (CLOCK_MONOTONIC, CLOCK_MONOTONIC) in seconds.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

HOST = "127.0.0.1"
A, AAAA, SRV = 1, 28, 33
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5


def query(number: int, name: str, kind: int, qclass: int = 1) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return (
        struct.pack(">6H", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, qclass)
    )


# Kind to the query with a number, and its rcode and how many answers it has.
KINDS: dict[str, tuple[Callable[[int], bytes], int, int]] = {
    "hit": (lambda n: query(n, "svc.ns.svc.cluster.local", A), NOERROR, 1),
    "headless": (lambda n: query(n, "headless.ns.svc.cluster.local", A), NOERROR, 1),
    "srv": (lambda n: query(n, "_http._tcp.svc.ns.svc.cluster.local", SRV), NOERROR, 1),
    "no data": (lambda n: query(n, "svc.ns.svc.cluster.local", AAAA), NOERROR, 0),
    "no name": (lambda n: query(n, f"n{n}.example.org.ns.svc.cluster.local", A), NXDOMAIN, 0),
    "miss": (lambda n: query(n, f"n{n}.example.org", A), NOERROR, 1),
    "cached": (lambda n: query(n, "cached.example.org", A), NOERROR, 1),
    "refused": (lambda n: query(n, "svc.ns.svc.cluster.local", A, 3), REFUSED, 0),
    "malformed": (lambda n: query(n, "svc.ns.svc.cluster.local", A)[:-2], FORMERR, 0),
    "failure": (lambda n: query(n, f"n{n}.fails", A), SERVFAIL, 0),
    "upstream's failure": (lambda n: query(n, f"n{n}.servfail.example.org", A), SERVFAIL, 0),
}


def be_upstream(udp: socket.socket) -> None:
    """Answer everything with an address, and some names with SERVFAIL."""
    while True:
        asked, peer = udp.recvfrom(4096)
        name_end = asked.index(b"\0", 12)
        question = asked[12 : name_end + 5]
        record = b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\1"
        fails = b"\x08servfail" in question.lower()
        flags, answers = (0x8182, 0) if fails else (0x8180, 1)
        head = asked[:2] + struct.pack(">5H", flags, 1, answers, 0, 0)
        udp.sendto(head + question + (b"" if fails else record), peer)


def main() -> None:
    upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    upstream.bind((HOST, 0))
    threading.Thread(target=be_upstream, args=(upstream,), daemon=True).start()
    print(upstream.getsockname()[1], flush=True)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((HOST, int(sys.stdin.readline())))
    client.settimeout(10)
    enough = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), enough.set()), daemon=True).start()
    seen: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    number = 0
    while not enough.is_set():
        for kind, (make, rcode, answers) in KINDS.items():
            number += 1
            asked_at = time.monotonic()
            client.send(make(number))
            reply = client.recv(65535)
            said = struct.unpack(">H", reply[:2])[0], reply[3] & 0xF, struct.unpack(">H", reply[6:8])[0]
            if said != (number & 0xFFFF, rcode, answers):
                sys.exit(f"{kind}: ID, rcode and answers {number & 0xFFFF, rcode, answers} expected, got {said}")
            seen[kind].append((asked_at, time.monotonic()))
        if number == len(KINDS):
            print("every kind is answered", flush=True)
        time.sleep(0.01)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
