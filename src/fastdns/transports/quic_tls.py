"""What QUIC connections are accepted with: the files of ``servertls``, as qh3 wants them.

qh3 is a package of its own, which only listeners with quic:// and https3:// need.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from fastdns.errors import FastdnsError
from fastdns.servertls import ServerTls, served

if TYPE_CHECKING:
    from fastdns.transports.quic_session import Configuration

MISSING = "quic:// and https3:// need the package qh3 (version 2.1): install fastdns[quic]"
ONLY_NOCERT = "client_auth {}: clients cannot be asked for certificates over QUIC; expected nocert"


class QuicTls:
    """The certificates of a listener in this process. alpn: what it speaks. make: a configuration without them."""

    def __init__(self, files: ServerTls, alpn: tuple[str, ...], make: type[Configuration], **options: Any) -> None:
        self.served = served(files, alpn)
        self.served.accept()
        self.make = make
        self.options = options | {"alpn_protocols": list(alpn)}
        self.keylog: IO[str] | None = None
        if files.keylog:
            with contextlib.suppress(OSError):
                self.keylog = Path(files.keylog).open("a")  # noqa: SIM115  (as long as the process lives)
        self.seen = self.served.seen
        self.configuration = self.made() if self.seen else None

    def current(self) -> Configuration | None:
        """What new connections are accepted with. While files that have changed cannot be used, it stays.

        None: there is no certificate yet.
        """
        if self.served.seen != self.seen:
            self.seen = self.served.seen
            with contextlib.suppress(FastdnsError):
                self.configuration = self.made()
        return self.configuration

    def made(self) -> Configuration:
        """A configuration with the files as they are. Raises FastdnsError."""
        configuration = self.make(is_client=False, secrets_log_file=self.keylog, **self.options)
        load(configuration, self.served.files)
        return configuration


def load(configuration: Configuration, files: ServerTls) -> None:
    """Read certificate and key into a configuration. Raises FastdnsError naming the files."""
    try:
        configuration.load_cert_chain(
            os.fsencode(files.certificate), os.fsencode(files.key)
        )
    except OSError as error:
        raise FastdnsError(f"{files.certificate}, {files.key}: {error.strerror}") from None
    except Exception as error:
        # qh3 has no class for what may be wrong.
        raise FastdnsError(
            f"{files.certificate}, {files.key}: a certificate and its key in PEM format expected, of a kind that "
            f"QUIC's library reads: {error}"
        ) from None


def check(files: ServerTls) -> None:
    """Whether QUIC can be served with these files. Raises FastdnsError."""
    try:
        from fastdns.transports.quic_session import Configuration
    except ImportError:
        raise FastdnsError(MISSING) from None
    if files.client_auth != "nocert":
        raise FastdnsError(ONLY_NOCERT.format(files.client_auth))
    if not files.obtained:
        load(Configuration(is_client=False), files)
