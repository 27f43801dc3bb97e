"""Servers that answer over every transport that there is, for tests of all of them."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from fastdns.tls import bare_client_context
from fastdns.transports.table import DEFAULT_SCHEME, SERVED, STREAM, Transport
from tests.plugins.forward.certificates import Authority
from tests.support import free_port

NAME = "dns.example"
# QUIC needs a library that is not everywhere.
HERE = tuple(row for row in SERVED if row.proto == "tcp" or row.delivery != STREAM or find_spec("qh3"))
# Over what messages come in any size; and those of them whose bytes a test can hold back.
STREAMS = tuple(row for row in HERE if row.delivery == STREAM)
OVER_TCP = tuple(row for row in STREAMS if row.proto == "tcp")
# Those that encrypt.
SECURE = tuple(row for row in STREAMS if row.scheme != DEFAULT_SCHEME)


def each(rows: Iterable[Transport]) -> pytest.MarkDecorator:
    """A test for each of these transports."""
    rows = tuple(rows)
    return pytest.mark.parametrize("row", rows, ids=[row.name for row in rows])


def ports() -> dict[str, int]:
    """A free port for each scheme but that of a key without one. Two transports of one scheme share it."""
    found: dict[str, int] = {}
    for row in HERE:
        if row.scheme != DEFAULT_SCHEME and row.scheme not in found:
            found[row.scheme] = free_port()
    return found


def everywhere(
    corefile: str, at: Mapping[str, int], plain: str = "DNS_PORT", tls: str = "tls server.crt server.key"
) -> str:
    """The same blocks, at every transport: each key that ends with the port ``plain``, with each scheme as well.

    tls: the lines of each block that say what it encrypts with.
    """
    lines = []
    for line in corefile.splitlines():
        keys = re.findall(rf"(\S+):{plain}\b", line)
        if keys and line.endswith("{"):
            more = [f"{scheme}://{key}:{port}" for scheme, port in at.items() for key in keys]
            line = f"{line.removesuffix('{').rstrip()} {' '.join(more)} {{\n    {tls}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def port_of(row: Transport, at: Mapping[str, int], plain: int) -> int:
    """Where a transport is served."""
    return plain if row.scheme == DEFAULT_SCHEME else at[row.scheme]


def certificates(folder: Path) -> Authority:
    """An authority with a certificate of the server, in a folder."""
    authority = Authority(folder)
    authority.issue("server", (NAME,))
    return authority


def trusting(authority: Authority, client: str = "") -> ssl.SSLContext:
    """A client's context. client: the certificate that it shows."""
    context = bare_client_context()
    context.load_verify_locations(authority.ca)
    if client:
        context.load_cert_chain(authority.directory / f"{client}.crt", authority.directory / f"{client}.key")
    return context
