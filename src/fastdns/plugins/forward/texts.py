"""Error texts of connections to upstreams, in Go's words, as CoreDNS shows them: ``read tcp A->B: i/o timeout``."""

from __future__ import annotations

import errno
import os
import re
import ssl

from fastdns.plugins.forward.config import DOH_PATH
from fastdns.plugins.forward.upstreams import Shortage, Upstream, host_port

STOPPED = Shortage("proxy: transport stopped")
SHORT = "dns: short read"

# Errors of calls that fail because this host has no descriptors, memory or ports left.
SHORTAGES = {
    errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EADDRINUSE,
}  # fmt: skip

# X509_V_ERR_* of OpenSSL
_VERIFY_ERRORS = {
    2: "certificate signed by unknown authority",
    9: "certificate has expired or is not yet valid",
    10: "certificate has expired or is not yet valid",
    18: "certificate signed by unknown authority",
    19: "certificate signed by unknown authority",
    20: "certificate signed by unknown authority",
    21: "certificate signed by unknown authority",
    62: "certificate is not valid for {name}",
    64: "certificate is not valid for {name}",
}
_ALERT = re.compile(r"_ALERT_(\w+)")


def dialing(source_address: str | None, to: str) -> str:
    """The beginning of the error text of a dial."""
    return f"dial tcp {host_port(source_address, 0)}->{to}" if source_address else f"dial tcp {to}"


def request_prefix(method: str, to: str) -> str:
    """The beginning of the error text of a request over HTTPS."""
    return f'{method.capitalize()} "https://{to}{DOH_PATH}": '


def dial_error(begin: str, step: str, error: OSError, upstream: Upstream) -> str:
    """The error text of a dial that failed at a step; a Shortage if this host is the cause. begin: see dialing."""
    if isinstance(error, ssl.SSLError):
        return tls_error(error, upstream)
    if step == "handshake" and not error.errno:
        # asyncio raises this if the peer closes the connection.
        return "EOF"
    # A negative number is getaddrinfo's, for a source address of the other family.
    text = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    reason = f"{begin}: {step}: {text.lower()}"
    return Shortage(reason) if error.errno in SHORTAGES else reason


def read_error(begin: str, error: Exception | None, upstream: Upstream) -> str:
    """The error text of a connection that ends while a reply is outstanding. begin: its beginning."""
    if isinstance(error, ssl.SSLError):
        return tls_error(error, upstream)
    if isinstance(error, OSError) and error.errno:
        return f"{begin}: read: {os.strerror(error.errno).lower()}"
    return str(error) if error else "EOF"


def tls_error(error: ssl.SSLError, upstream: Upstream) -> str:
    """The error text of a failed TLS handshake, as far as OpenSSL gives the reason."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _VERIFY_ERRORS.get(error.verify_code, error.verify_message)
        return f"tls: failed to verify certificate: x509: {reason.replace('{name}', upstream.verified_name)}"
    reason = error.reason or str(error)
    if reason == "WRONG_VERSION_NUMBER":
        return "tls: first record does not look like a TLS handshake"
    alert = _ALERT.search(reason)
    if alert is not None:
        return f"remote error: tls: {alert[1].lower().replace('_', ' ')}"
    return f"tls: {reason.lower().replace('_', ' ')}"
