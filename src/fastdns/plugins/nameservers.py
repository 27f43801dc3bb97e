"""Files of nameservers, like resolv.conf(5). Other programs write them, such as a DHCP client. Therefore the valid
lines are used, and invalid ones are skipped.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass

from fastdns.corefile.values import read_text
from fastdns.netaddrs import canonical_address, needs_zone
from fastdns.skipped import SkippedLines

# Modification time in ns, inode and size of a file; None if there is no file.
FileState = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Nameservers:
    """The nameservers of a file. addresses: canonical. problems: why lines, or the whole file, cannot be used."""

    addresses: tuple[str, ...]
    problems: tuple[str, ...] = ()


class NameserverFiles:
    """Reads the files, and keeps their last nameservers for the time when a file cannot be read."""

    def __init__(self, log: logging.Logger, skipped: SkippedLines | None = None) -> None:
        self.log = log
        self.skipped = skipped or SkippedLines()
        self.last: dict[str, tuple[str, ...]] = {}

    def read(self, path: str) -> Nameservers:
        """The nameservers of a file. Raises nothing: problems are logged once, counted, and returned."""
        found = self.look(path)
        self.skipped.note(self.log, path, found.problems)
        return found

    def look(self, path: str) -> Nameservers:
        """The same without logging and counting."""
        try:
            text = read_text(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            kept = self.last.get(path, ())
            then = "; its last nameservers stay in use" if kept else ""
            return Nameservers(kept, (f"cannot read {path}: {reason}{then}",))
        found = parse_nameservers(text, path)
        if found.addresses:
            self.last[path] = found.addresses
        return found


def parse_nameservers(text: str, path: str) -> Nameservers:
    """The nameserver lines of a file; other lines are ignored."""
    addresses: list[str] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0] != "nameserver":
            continue
        written = words[1] if len(words) > 1 else ""
        address = canonical_address(written)
        if address is None:
            got = f"got {written!r}" if written else "got nothing"
            problems.append(f"{path}:{number} - a nameserver must be an IP address, {got}; the line is skipped")
        elif needs_zone(address):
            problems.append(
                f"{path}:{number} - {address} is a link-local address and needs its interface, as in "
                f"{address}%eth0; the line is skipped"
            )
        else:
            addresses.append(address)
    return Nameservers(tuple(addresses), tuple(problems))


def digest(paths: Iterable[str]) -> tuple[FileState, ...]:
    """A value that differs if one of the files has changed. It takes one stat(2) for each file."""
    return tuple(_file_state(path) for path in paths)


def _file_state(path: str) -> FileState:
    try:
        # Follows links: the links of a mounted ConfigMap point to another file after a change.
        state = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ino, state.st_size
