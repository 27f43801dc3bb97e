"""Starts the demo by the command of an installation, asks it until it answers, and prints the answer.

Run by the Python of that installation: ``python deploy/tools/asking.py .../bin/fastdns``. Exits with 1 without an
answer.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time

from dnslib import QTYPE, DNSRecord

PORT = 1053
WAIT_S = 30.0


def ask() -> list[str]:
    """The addresses of the API server in the demo's cluster; none, if there is no answer yet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        try:
            client.connect(("127.0.0.1", PORT))
            client.send(DNSRecord.question("kubernetes.default.svc.cluster.local", "A").pack())
            reply = DNSRecord.parse(client.recv(4096))
        except OSError:
            return []
    return [str(record.rdata) for record in reply.rr if record.rtype == QTYPE.A]


def main() -> int:
    """Returns the exit code."""
    server = subprocess.Popen([*sys.argv[1:], "demo", "-p", str(PORT)], stdout=subprocess.DEVNULL)
    try:
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s and server.poll() is None:
            if answer := ask():
                print(" ".join(answer))
                return 0
            time.sleep(0.05)
    finally:
        server.terminate()
        server.wait(10)
    return 1


if __name__ == "__main__":
    sys.exit(main())
