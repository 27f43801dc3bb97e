"""The databases of a configuration: read before the workers are forked, so that all share their memory."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.plugins.geoip._database import Database

# The offsets of the format have 32 bits.
MAX_BYTES = 1 << 32
CITY, ASN = "city", "asn"
# What databases of MaxMind and DB-IP hold, by words of their type. Others may hold either.
HOLDS = (
    ("enterprise", (CITY,)),
    ("city", (CITY,)),
    ("country", (CITY,)),
    ("asn", (ASN,)),
    ("isp", (ASN,)),
    ("anonymous", ()),
    ("connection-type", ()),
    ("domain", ()),
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A database as it was when it was read. schemas: of CITY and ASN those that it holds."""

    file: str
    changed_ns: int
    bytes: int
    database: Database
    schemas: tuple[str, ...]


def schemas_of(kind: str) -> tuple[str, ...]:
    """What a database of this type holds."""
    words = kind.lower()
    return next((schemas for word, schemas in HOLDS if word in words), (CITY, ASN))


def open_database(file: str) -> Opened:
    """Read a file. Raises FastdnsError where it cannot be used."""
    try:
        about = Path(file).stat()
        # A pipe would be waited for, and a device be read without end.
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("it is no regular file")
        if about.st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        database = Database(Path(file).read_bytes())
    except OSError as error:
        raise FastdnsError(f"failed to open database file: {file}: {error.strerror}") from error
    except ValueError as error:
        raise FastdnsError(f"failed to open database file: {file}: {error}") from error
    schemas = schemas_of(database.kind)
    if not schemas:
        raise FastdnsError(
            f"{file}: database does not provide any supported schema (city, asn); its type is {database.kind!r}"
        )
    return Opened(file, about.st_mtime_ns, about.st_size, database, schemas)


def open_databases(config: ServerConfig, before: dict[str, Opened]) -> dict[str, Opened]:
    """The database of each file that a configuration names; what has not changed is not read again.

    Raises FastdnsError.
    """
    found: dict[str, Opened] = {}
    for _, options in config.with_plugin("geoip"):
        if options.file not in found:
            known = before.get(options.file)
            found[options.file] = known if known is not None and is_current(known) else open_database(options.file)
    return found


def is_current(opened: Opened) -> bool:
    """Whether the file is as it was."""
    try:
        about = Path(opened.file).stat()
    except OSError:
        return False
    return (about.st_mtime_ns, about.st_size) == (opened.changed_ns, opened.bytes)
