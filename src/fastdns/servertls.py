"""What encrypted connections are accepted with: certificates from files, taken up anew when the files change.

A context is made in the supervisor, before its children are forked, and kept over reloads. So all workers have the
same keys for session tickets, and a client may resume its session with any of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from fastdns.errors import FastdnsError
from fastdns.tls import server_context

log = logging.getLogger("plugin/tls")

# How often a worker looks at the files.
LOOK_S = 1.0
# Go's ways to authenticate clients, under CoreDNS's names. Two do not verify, which Python cannot ask for.
CLIENT_AUTH = {
    "nocert": ssl.CERT_NONE,
    "request": ssl.CERT_OPTIONAL,
    "require": ssl.CERT_REQUIRED,
    "verify_if_given": ssl.CERT_OPTIONAL,
    "require_and_verify": ssl.CERT_REQUIRED,
}
UNVERIFIED = ("request", "require")
# OpenSSL's flags: SSL_VERIFY_PEER, SSL_VERIFY_FAIL_IF_NO_PEER_CERT.
VERIFY_PEER, FAIL_WITHOUT = 1, 2


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The files of a listener, and what it asks of clients. authority: "" for the system's.

    obtained: another part of the server writes the certificate and its key. Until it has, handshakes fail.
    """

    certificate: str
    key: str
    authority: str = ""
    client_auth: str = "nocert"
    keylog: str = ""
    obtained: bool = False

    @property
    def read(self) -> list[str]:
        """The files that are looked at for changes."""
        return [file for file in (self.certificate, self.key, self.authority) if file]


class Served:
    """The context of one ServerTls in this process. alpn: the protocols that it negotiates, the best first."""

    def __init__(self, files: ServerTls, alpn: tuple[str, ...]) -> None:
        self.files = files
        self.alpn = alpn
        self.looked_at = time.monotonic()
        self.said = ""
        # This process accepts connections with it. One that is forked does not, until it says so.
        self.accepting_in = 0
        if files.obtained:
            self.seen: list[tuple[int, int, int]] = []
            self.context = bare(files, alpn)
            self.look()
        else:
            self.seen = seen(files)
            self.context = made(files, alpn)
        if files.keylog:
            try:
                with Path(files.keylog).open("ab"):
                    pass
            except OSError as error:
                raise FastdnsError(
                    f"unable to write TLS Key Log to {files.keylog!r}: {error.strerror}"
                ) from None

    def accept(self) -> None:
        """This process accepts connections from now on, and writes their secrets where it is told to.

        It opens the file itself: who has forked it has other descriptors.
        """
        self.accepting_in = os.getpid()
        if self.files.keylog:
            with contextlib.suppress(OSError):
                self.context.keylog_filename = self.files.keylog

    def look(self) -> None:
        """Take up what has changed. While certificate and key do not fit, what was there before stays in use."""
        self.looked_at = time.monotonic()
        said = ""
        try:
            now = seen(self.files)
            if now and now != self.seen:
                fresh = made(self.files, self.alpn)
                if now[2:] == self.seen[2:]:
                    # The keys of session tickets stay, which all workers share.
                    load(self.context, self.files)
                else:
                    self.context = fresh
                    if self.accepting_in == os.getpid():
                        self.accept()
                self.seen = now
        except (OSError, FastdnsError) as error:
            said = str(error)
            if said != self.said:
                log.error("%s; the previous certificate stays in use", said)
        self.said = said


# Of this process, and of those that it forks.
SERVED: dict[tuple[ServerTls, tuple[str, ...]], Served] = {}


def served(files: ServerTls, alpn: tuple[str, ...] = ()) -> Served:
    """The context for these files, as they are now. Protocols that differ have contexts of their own, so that no
    session of one of them is taken for another's. Raises FastdnsError."""
    found = SERVED.get((files, alpn))
    if found is None:
        found = SERVED[files, alpn] = Served(files, alpn)
    else:
        found.look()
    return found


def look_for_changes() -> None:
    """Look at the files that it is time to look at, of those that this process accepts connections with.

    Others are those of earlier configurations, whose files may be gone.
    """
    now = time.monotonic()
    for one in SERVED.values():
        if one.accepting_in == os.getpid() and now - one.looked_at >= LOOK_S:
            one.look()


def seen(files: ServerTls) -> list[tuple[int, int, int]]:
    """What tells that a file has changed; nothing of a certificate that is not there yet. Raises FastdnsError."""
    found = []
    for file in files.read:
        try:
            stat = Path(file).stat()
        except OSError as error:
            if files.obtained:
                return []
            raise FastdnsError(f"{file}: {error.strerror}") from None
        found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return found


def made(files: ServerTls, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A context. Raises FastdnsError naming the file and what was expected."""
    context = bare(files, alpn)
    load(context, files)
    return context


def load(context: ssl.SSLContext, files: ServerTls) -> None:
    """Have a context use the certificate. Raises FastdnsError."""
    try:
        context.load_cert_chain(files.certificate, files.key)
    except ssl.SSLError as error:
        what = error.reason or str(error)
        raise FastdnsError(
            f"{files.certificate}, {files.key}: a certificate and its key in PEM format expected: {what}"
        ) from None
    except OSError as error:
        raise FastdnsError(f"{files.certificate}, {files.key}: {error.strerror}") from None


def bare(files: ServerTls, alpn: tuple[str, ...]) -> ssl.SSLContext:
    """A context without a certificate. Raises FastdnsError."""
    context = server_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if alpn:
        context.set_alpn_protocols(alpn)
    context.verify_mode = CLIENT_AUTH[files.client_auth]
    if files.client_auth in UNVERIFIED:
        accept_unverified(context, required=files.client_auth == "require")
    elif files.authority:
        try:
            context.load_verify_locations(files.authority)
        except (OSError, ssl.SSLError) as error:
            why = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise FastdnsError(f"{files.authority}: certificates in PEM format expected: {why}") from None
    else:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    return context


class ContextHead(ctypes.Structure):
    """How CPython's PySSLContext begins, in all versions from 3.7 on: Modules/_ssl.c."""

    _fields_ = (("refcount", ctypes.c_ssize_t), ("type", ctypes.c_void_p), ("context", ctypes.c_void_p))


# What says of a client's certificate that it is all right.
Verify = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
ALL_RIGHT = Verify(lambda verified, store: 1)


def accept_unverified(context: ssl.SSLContext, *, required: bool) -> None:
    """Ask clients for a certificate, and take whatever it is. Python's ssl offers no way to do that, OpenSSL does.

    Raises FastdnsError where this Python does not let its OpenSSL be reached.
    """
    import _ssl

    mode = VERIFY_PEER | (FAIL_WITHOUT if required else 0)
    try:
        library = ctypes.CDLL(_ssl.__file__)
        pointer = ctypes.c_void_p(ContextHead.from_address(id(context)).context)
        library.SSL_CTX_get_verify_mode.argtypes = [ctypes.c_void_p]
        library.SSL_CTX_set_verify.argtypes = [ctypes.c_void_p, ctypes.c_int, Verify]
        library.SSL_CTX_set_verify.restype = None
        if library.SSL_CTX_get_verify_mode(pointer) != mode:
            raise AttributeError("the context is not where it is expected")
        library.SSL_CTX_set_verify(pointer, mode, ALL_RIGHT)
    except (AttributeError, OSError) as error:
        raise FastdnsError(
            f"client_auth request and require need an OpenSSL that can be reached from Python: {error}"
        ) from None
