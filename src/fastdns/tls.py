"""What is checked of a certificate, alike under every version of Python.

Since Python 3.13 ``ssl.create_default_context`` demands RFC 5280 to the letter (VERIFY_X509_STRICT), such as
key identifiers. Authorities that clusters make for themselves lack them, EKS's among them, and Go does not ask for
them. Chain, name and time are checked, as ever. It also takes a certificate in mid-chain for an authority, where it
is named as one (VERIFY_X509_PARTIAL_CHAIN), as Go does; older ones do not.
"""

from __future__ import annotations

import ssl


def client_context(*, cafile: str | None = None, cadata: str | None = None) -> ssl.SSLContext:
    """A client's context that trusts these authorities, or else the system's. Raises as ``ssl`` does."""
    return alike(ssl.create_default_context(cafile=cafile, cadata=cadata))


def bare_client_context() -> ssl.SSLContext:
    """A client's context that trusts nobody yet."""
    return alike(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def server_context() -> ssl.SSLContext:
    """A server's context without a certificate; it asks clients for none."""
    return alike(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def alike(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, with the same flags under every version."""
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
