"""Forking children that are ours for life, and the channel between the supervisor and each of them.

A child is forked from inside the supervisor's event loop. It must not touch that loop, which shares its epoll
instance with the parent: it runs its own main and leaves through os._exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import setproctitle

from fastdns.children import die_with_parent
from fastdns.errors import FastdnsError

# The most that one message of the channel takes; metrics of a watcher are the largest.
MAX_MESSAGE_BYTES = 128 * 1024
MAX_FDS = 1


class Channel:
    """One end of a socket pair that carries whole JSON objects, and descriptors with them. Sending never waits."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        end.setblocking(False)

    def fileno(self) -> int:
        """For an event loop's reader."""
        return self.end.fileno()

    def send(self, *fds: int, **message: Any) -> bool:
        """Whether the message went out: a full or closed channel loses it."""
        try:
            socket.send_fds(self.end, [json.dumps(message).encode()], fds)
        except OSError:
            return False
        return True

    def receive(self) -> list[dict[str, Any]] | None:
        """The messages that have come, or None once the other end is closed. One with descriptors has ``fds``."""
        messages: list[dict[str, Any]] = []
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.end, MAX_MESSAGE_BYTES, MAX_FDS)
            except BlockingIOError:
                return messages
            except OSError:
                return messages or None
            if not data:
                return messages or None
            for fd in fds:
                os.set_inheritable(fd, False)
            with contextlib.suppress(ValueError):
                messages.append(json.loads(data) | ({"fds": fds} if fds else {}))

    def close(self) -> None:
        """Close this end."""
        self.end.close()


def channel_pair() -> tuple[Channel, Channel]:
    """Both ends of a new channel."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (one, other):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MAX_MESSAGE_BYTES)
    return Channel(one), Channel(other)


def raise_file_limit() -> int:
    """Take all the file descriptors that this process may have, as Go's programs do. Returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft


def close_all_but(keep: set[int]) -> None:
    """Close every other file descriptor: a copy in a child would keep the supervisor's sockets and peers open."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        if int(entry.name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(entry.name))


def fork_child(title: str, main: Callable[[Channel], int], keep_fds: set[int]) -> tuple[int, Channel]:
    """Fork a child that runs main with its end of a channel; its exit code is main's. Returns (pid, our end).

    The child keeps the standard streams and keep_fds, nothing else. Raises OSError where the system has no room
    for a process.
    """
    ours, theirs = channel_pair()
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if pid:
        theirs.close()
        return pid, ours
    code = 1
    try:
        die_with_parent(parent)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
            # Signals to the group are the supervisor's to act on; a child ends when it says so.
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        asyncio._set_running_loop(None)
        asyncio.set_event_loop(None)
        setproctitle.setproctitle(title)
        close_all_but({0, 1, 2, theirs.fileno()} | keep_fds)
        code = main(theirs)
    except FastdnsError as error:
        print(f"{title}: {error}", file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
