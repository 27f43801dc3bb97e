"""The files that credentials are read from: PEM files, and a token that is replaced while it is in use."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from fastdns.errors import SourceError

TOKEN_MAX_AGE_S = 60.0
MAX_CREDENTIAL_FILE_BYTES = 4 << 20


class TokenFile:
    """A bearer token that is replaced on disk while it is in use."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._stamp: tuple[int, int, int] | None = None
        self._read_at = 0.0
        self._token = ""

    def read(self, force: bool = False) -> str:
        """The current token. If the file cannot be read any more, the last token is used until it is refused."""
        now = self._clock()
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if not force and stamp == self._stamp and now - self._read_at < TOKEN_MAX_AGE_S:
                return self._token
            token = self.path.read_text("ascii").strip()
            if not token:
                raise SourceError(f"{self.path} is empty; expected the service account's token")
        except (OSError, ValueError, SourceError) as e:
            if self._token:
                return self._token
            if isinstance(e, SourceError):
                raise
            raise SourceError(f"open {self.path}: {reason(e)}; expected a bearer token") from e
        self._token, self._stamp, self._read_at = token, stamp, now
        return token


def read_pem(path: Path, expected: str) -> str:
    """The text of a credential file. Raises SourceError naming it."""
    try:
        if path.stat().st_size > MAX_CREDENTIAL_FILE_BYTES:
            raise SourceError(f"{path} is over {MAX_CREDENTIAL_FILE_BYTES} bytes; expected {expected}")
        text = path.read_text("utf-8")
    except (OSError, ValueError) as e:
        raise SourceError(f"open {path}: {reason(e)}; expected {expected}") from e
    if not text.strip():
        raise SourceError(f"{path} is empty; expected {expected}")
    return text


def reason(error: BaseException) -> str:
    """A short text of an error: the system's text, or the name of the class if there is none."""
    if isinstance(error, OSError) and error.strerror and error.__class__.__module__ == "builtins":
        return error.strerror.lower()
    return str(error) or error.__class__.__name__
