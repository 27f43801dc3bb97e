"""The addresses on which this host lets a process listen."""

from __future__ import annotations

import errno
import functools
import socket

from fastdns.errors import FastdnsError
from fastdns.netaddrs import WILDCARDS


class ListenError(FastdnsError):
    """The server cannot listen on an address: which one, and why."""


def every_address() -> list[str]:
    """The wildcards that stand for every address of this host, one for each family that it has."""
    return [address for address, has in (("0.0.0.0", has_ipv4), ("::", has_ipv6)) if has()] or list(WILDCARDS)


@functools.cache
def has_ipv4() -> bool:
    """Whether this host lets a socket bind to 0.0.0.0. Asked once: a worker's sockets must stay the same."""
    return has_family(socket.AF_INET, "0.0.0.0")


@functools.cache
def has_ipv6() -> bool:
    """Whether this host lets a socket bind to ::. Asked once."""
    return has_family(socket.AF_INET6, "::")


def has_family(family: int, wildcard: str) -> bool:
    """Whether this host lets a socket of a family bind to its wildcard."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((wildcard, 0))
    except OSError as error:
        # Other errors, such as too many open files, say nothing about the family.
        return error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPERM, errno.EACCES)
    return True
