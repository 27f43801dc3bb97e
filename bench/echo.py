"""``python -m bench.echo PORT EXTRA WORKERS``: the limit of sockets, in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import sys
import threading

from fastdns.bench._echo import Echo

SO_RCVBUFFORCE = 33
# The buffer that fastdns asks for, so that both lose equally little.
BUFFER_BYTES = 4 * 1024 * 1024


def listener(port: int) -> socket.socket:
    """One of the sockets that share the port."""
    served = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    served.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    served.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 250_000))
    try:
        served.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    except PermissionError:
        served.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    served.bind(("127.0.0.1", port))
    return served


def main() -> None:
    port, extra, workers = map(int, sys.argv[1:])
    with contextlib.ExitStack() as stack:
        echoes = [Echo(stack.enter_context(listener(port)).fileno(), extra) for _ in range(workers)]
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        running = [threading.Thread(target=echo.run) for echo in echoes]
        for thread in running:
            thread.start()
        ended.wait()
        for echo in echoes:
            echo.stop()
        for thread in running:
            thread.join()


if __name__ == "__main__":
    main()
