"""The upstreams of a configuration as they are now: addresses from files, contexts of TLS. Made before the fork."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from fastdns.errors import FastdnsError
from fastdns.plugins.grpc.config import Config, NameserverFile, TlsFiles, Upstream
from fastdns.plugins.nameservers import FileState, NameserverFiles, digest
from fastdns.skipped import SkippedLines
from fastdns.tls import bare_client_context
from fastdns.transports.table import DEFAULT_PORTS, DEFAULT_SCHEME

log = logging.getLogger("plugin/grpc")


@dataclass(frozen=True)
class Route:
    """Of one block. upstreams: each with its row of counters. context: None where nothing is encrypted."""

    upstreams: tuple[tuple[Upstream, int], ...]
    context: ssl.SSLContext | None


class Files:
    """What is read for upstreams, and whether it has changed since."""

    def __init__(self, skipped: SkippedLines) -> None:
        self.nameservers = NameserverFiles(log, skipped)
        self.paths: tuple[str, ...] = ()
        self.seen: tuple[FileState, ...] = ()

    def follow(self, configs: Iterable[Config]) -> None:
        """Look at the files of these configurations from now on."""
        self.paths = tuple(to.path for one in configs for to in one.to if isinstance(to, NameserverFile))
        self.seen = digest(self.paths)

    def changed(self) -> bool:
        """Whether one has changed since the last call. A file that is gone counts as unchanged."""
        now = tuple(new or old for new, old in zip(digest(self.paths), self.seen, strict=True))
        changed, self.seen = now != self.seen, now
        return changed


def upstreams_of(config: Config, files: NameserverFiles) -> tuple[Upstream, ...]:
    """In the order of the Corefile, each once. Raises FastdnsError where there is none."""
    port = DEFAULT_PORTS[DEFAULT_SCHEME]
    found: dict[Upstream, None] = {}
    problems: list[str] = []
    for to in config.to:
        if isinstance(to, Upstream):
            found[to] = None
            continue
        told = files.read(to.path)
        problems += told.problems or ([] if told.addresses else [f"{to.path} names no nameserver"])
        found.update(dict.fromkeys(Upstream(address, port) for address in told.addresses))
    if not found:
        raise FastdnsError(f"not an IP address or file: {problems[0]}")
    return tuple(found)


def context_of(files: TlsFiles) -> ssl.SSLContext:
    """What connections are encrypted with. Raises FastdnsError."""
    context = bare_client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    try:
        if files.authority:
            context.load_verify_locations(files.authority)
        else:
            context.load_default_certs()
    except OSError as error:
        raise FastdnsError(f"{files.authority}: certificates in PEM format expected: {why(error)}") from None
    if files.certificate:
        try:
            # Without a password here, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(files.certificate, files.key, password=lambda: "")
        except OSError as error:
            raise FastdnsError(
                f"{files.certificate}, {files.key}: a certificate and its key in PEM format expected: {why(error)}"
            ) from None
    return context


def why(error: OSError) -> object:
    """What is wrong with a file."""
    return getattr(error, "reason", None) or error.strerror or error
