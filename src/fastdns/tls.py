"""The checks of a certificate, the same under every version of Python.

Since Python 3.13, ``ssl.create_default_context`` enforces RFC 5280 strictly (VERIFY_X509_STRICT), for example key
identifiers. Certificates of cluster-made authorities, EKS's among them, lack these, and Go does not require them.
Chain, name and time are checked under every version. Python 3.13 also accepts a certificate in mid-chain as an
authority if it is configured as one (VERIFY_X509_PARTIAL_CHAIN), as Go does; older versions do not.
"""

from __future__ import annotations

import ssl


def client_context(
    *, cafile: str | None = None, capath: str | None = None, cadata: str | None = None
) -> ssl.SSLContext:
    """A client's context that trusts these authorities, or the system's by default. Raises as ``ssl`` does."""
    return alike(ssl.create_default_context(cafile=cafile, capath=capath, cadata=cadata))


def bare_client_context() -> ssl.SSLContext:
    """A client's context that trusts no authority yet."""
    return alike(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def server_context() -> ssl.SSLContext:
    """A server's context without a certificate; it does not ask clients for one."""
    return alike(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def alike(context: ssl.SSLContext) -> ssl.SSLContext:
    """The given context, with the same flags under every version of Python."""
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
