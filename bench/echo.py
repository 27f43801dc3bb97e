"""``python -m bench.echo PORT EXTRA``: the limit of sockets, in a process of its own."""

from __future__ import annotations

import signal
import socket
import struct
import sys
import threading

from fastdns.bench._echo import Echo

SO_RCVBUFFORCE = 33
# As much as fastdns asks for, so that neither loses what the other holds.
BUFFER_BYTES = 4 * 1024 * 1024


def main() -> None:
    port, extra = int(sys.argv[1]), int(sys.argv[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as served:
        served.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 250_000))
        try:
            served.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        except PermissionError:
            served.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        served.bind(("127.0.0.1", port))
        echo = Echo(served.fileno(), extra)
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        running = threading.Thread(target=echo.run)
        running.start()
        ended.wait()
        echo.stop()
        running.join()


if __name__ == "__main__":
    main()
