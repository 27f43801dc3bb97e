"""Where certificates by ACME, their keys and the keys of accounts are kept: where CoreDNS's library certmagic does.

    certificates/DIRECTORY/NAME/NAME.crt, .key, .json
    acme/DIRECTORY/users/EMAIL/USER.key, .json

A certificate for one name stands where CoreDNS looks for it, so that either can go on with what the other has. Of
several names CoreDNS has one certificate each; fastdns has one for all, beside those.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from fastdns.plugins.tls.acme import Acme

_UNSAFE = re.compile(r"[^\w@.-]", re.ASCII)
# A file's name has 255 characters; ".json" is to follow.
MAX_FILE_CHARACTERS = 200


class Storage:
    """The files of one certificate. Nothing is opened before it is asked for."""

    def __init__(self, acme: Acme) -> None:
        self.root = Path(acme.storage)
        directory = safe(directory_of(acme.url))
        name = name_of(acme.domains)
        folder = self.root / "certificates" / directory / name
        self.certificate = folder / f"{name}.crt"
        self.key = folder / f"{name}.key"
        self.description = folder / f"{name}.json"
        email = acme.email or "default"
        user = self.root / "acme" / directory / "users" / safe(email)
        self.account_key = user / f"{safe(email.partition('@')[0]) or 'private'}.key"
        self.account = user / f"{safe(email.partition('@')[0]) or 'registration'}.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process of this host at a time. Raises OSError."""
        make_folder(self.root)
        descriptor = os.open(self.root / "fastdns.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def directory_of(url: str) -> str:
    """What an authority is called by: the host and the path of its directory."""
    parts = urlsplit(url)
    path = parts.path.replace("/", "-").strip("-")
    return parts.netloc + (f"-{path}" if path else "")


def name_of(domains: tuple[str, ...]) -> str:
    """What a certificate is called by."""
    first = safe(min(domains))
    if len(domains) == 1 and len(first) <= MAX_FILE_CHARACTERS:
        return first
    digest = hashlib.sha256("\0".join(sorted(domains)).encode()).hexdigest()[:16]
    return f"{first[:MAX_FILE_CHARACTERS]}-{digest}"


def safe(text: str) -> str:
    """A text as part of a path."""
    text = text.lower().strip()
    for part, instead in ((" ", "_"), ("+", "_plus_"), ("*", "wildcard_"), (":", "-"), ("..", "")):
        text = text.replace(part, instead)
    return _UNSAFE.sub("", text)


def make_folder(folder: Path) -> None:
    """A folder, and those above it, that only this user reads. Raises OSError."""
    for one in (*reversed(folder.parents), folder):
        if not one.is_dir():
            one.mkdir(0o700, exist_ok=True)


def write(file: Path, content: bytes) -> None:
    """A file that only this user reads, at once or not at all. Raises OSError."""
    make_folder(file.parent)
    # It has mode 0600.
    descriptor, beside = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        Path(beside).replace(file)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def write_json(file: Path, content: Mapping[str, object]) -> None:
    """``write``, of what JSON can say. Raises OSError."""
    write(file, json.dumps(content, indent="\t").encode())
