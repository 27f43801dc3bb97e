"""A flood of queries for names that are asked once each: one client, a steady rate, a process of its own.

    python -m tests.integration.faults.flood --port 53 --zone example.org. --rate 20000 --source 127.0.0.9

It reads no answers: what it costs is one system call for BATCH queries and a microsecond for each. It runs until
stdin ends, and prints how many it has sent.
"""

from __future__ import annotations

import argparse
import select
import socket
import sys
import time

import dns.message

from tests.integration.faults.sender import SenderProcess
from tests.plugins.forward.engine.bursts import send_batch

SOCKETS = 16
BATCH = 100
# Where the label of the number stands, behind header and length.
LABEL = slice(13, 21)


class Flood(SenderProcess):
    """``with Flood(port, zone) as flood: ...``: the flood while the block runs; ``flood.sent`` after it."""

    def __init__(self, port: int, zone: str, rate: int, source: str = "127.0.0.9") -> None:
        super().__init__("tests.integration.faults.flood", port=port, zone=zone, rate=rate, source=source)
        self.sent = 0

    def take(self, out: str) -> None:
        self.sent = int(out)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--zone", required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--source", required=True)
    args = parser.parse_args()
    wire = bytearray(dns.message.make_query(f"00000000.{args.zone}", "A").to_wire())
    sockets = []
    for _ in range(SOCKETS):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.bind((args.source, 0))
        one.connect(("127.0.0.1", args.port))
        sockets.append(one)
    print("begun", flush=True)
    begun = time.monotonic()
    sent = turn = 0
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        due = int((time.monotonic() - begun) * args.rate) - sent
        if due > args.rate // 10:
            # This process has had no CPU. A burst would measure the buffers of sockets.
            begun += (due - args.rate // 10) / args.rate
            due = args.rate // 10
        while due > 0:
            batch = []
            for number in range(sent, sent + min(due, BATCH)):
                wire[LABEL] = b"%08x" % (number & 0xFFFFFFFF)
                wire[0:2] = number.to_bytes(4, "big")[2:]
                batch.append(bytes(wire))
            send_batch(sockets[turn % SOCKETS], batch)
            turn += 1
            sent += len(batch)
            due -= len(batch)
    print(sent)


if __name__ == "__main__":
    main()
