"""Networks of a test's own: namespaces that nobody else sees, and that are gone when this process is.

A Namespace is held by a file descriptor, not by a name in /run, so nothing of the host changes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_OWN = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)
TOOLS = ("ip", "unshare", "mount", "setpriv")


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Namespace:
    """An own network with its loopback up. Sockets and processes that a thread makes inside of it stay there."""

    def __init__(self) -> None:
        home = os.open(_OWN, os.O_RDONLY)
        try:
            _checked(_libc.unshare(_CLONE_NEWNET))
            self.fd = os.open(_OWN, os.O_RDONLY)
            _checked(_libc.setns(home, _CLONE_NEWNET))
        finally:
            os.close(home)
        try:
            self.ip("link set lo up")
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """It is gone once nothing is left in it."""
        os.close(self.fd)

    @property
    def path(self) -> str:
        """Where other processes find it."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is in it."""
        home = os.open(_OWN, os.O_RDONLY)
        try:
            _checked(_libc.setns(self.fd, _CLONE_NEWNET))
            yield
        finally:
            _checked(_libc.setns(home, _CLONE_NEWNET))
            os.close(home)

    def ip(self, *lines: str) -> None:
        """Run lines of iproute2, in one go. Raises OSError with what it says."""
        with self.inside():
            ended = subprocess.run(
                ["ip", "-batch", "-"], input="\n".join(lines), capture_output=True, text=True, timeout=10
            )
        if ended.returncode:
            raise OSError(f"ip: {ended.stderr.strip()}")

    def sysctl(self, name: str, value: int) -> None:
        """Set what lies under /proc/sys/net."""
        with self.inside():
            Path("/proc/sys/net", name).write_text(str(value))

    def bridge(self, *addresses: str) -> None:
        """A bridge, which others join, with these addresses of this namespace."""
        self.ip("link add br0 type bridge", "link set br0 up", *(_address(one, "br0") for one in addresses))

    def join(self, other: Namespace, name: str, *addresses: str) -> None:
        """A cable from here to the bridge of another, where its end has this name."""
        self.ip(
            f"link add eth0 type veth peer name {name}",
            f"link set {name} netns {other.path}",
            "link set eth0 up",
            *(_address(one, "eth0") for one in addresses),
        )
        other.ip(f"link set {name} master br0 up")


def _address(address: str, device: str) -> str:
    # Without looking for duplicates, which takes a second.
    return f"address add {address} dev {device}{' nodad' if ':' in address else ''}"


def missing() -> str:
    """Why there can be no networks here; empty where there can."""
    if absent := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"not installed: {', '.join(absent)}"
    if os.geteuid():
        return "only root makes networks"
    try:
        with contextlib.ExitStack() as stack:
            first, second = Namespace(), Namespace()
            stack.callback(first.close)
            stack.callback(second.close)
            first.bridge("10.0.0.1/24")
            second.join(first, "veth2", "10.0.0.2/24")
            second.ip("route add 10.1.0.1 nexthop via 10.0.0.1 nexthop via 10.0.0.3")
    except OSError as error:
        return f"no networks here, of namespaces with bridges and multipath routes: {error}"
    return ""
