"""What this host lets a process listen on."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from fastdns import listening
from tests.support import has_address


@pytest.fixture
def ask_anew() -> Iterator[None]:
    """Whether there is IPv6 is asked once."""
    listening.has_ipv6.cache_clear()
    yield
    listening.has_ipv6.cache_clear()


@pytest.mark.usefixtures("ask_anew")
@pytest.mark.parametrize(
    ("number", "has"), [(errno.EAFNOSUPPORT, False), (errno.EADDRNOTAVAIL, False), (errno.EMFILE, True)]
)
def test_a_host_without_ipv6(monkeypatch: pytest.MonkeyPatch, number: int, has: bool) -> None:
    """Nor is a moment without descriptors one: workers would lose their sockets of it."""
    assert listening.has_ipv6() == has_address("::")
    listening.has_ipv6.cache_clear()
    real = socket.socket

    def without(family: int = -1, *rest: Any, **named: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(number, os.strerror(number))
        return real(family, *rest, **named)

    monkeypatch.setattr(socket, "socket", without)
    assert listening.has_ipv6() == has
