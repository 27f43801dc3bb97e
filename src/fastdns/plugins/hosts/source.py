"""Follows a hosts file: reads it when it has changed, and publishes its names with those of the Corefile.

The file is read and parsed in a thread, without the GIL, and published in slices: the watcher's event loop goes on.
A file that cannot be read any more changes nothing: what it held is served on. It may come, go, and be replaced by
another one (ConfigMaps are, by symbolic links). An identity of device, inode, size and time tells whether it has.
"""

from __future__ import annotations

import asyncio
import logging
import stat
from pathlib import Path
from typing import NamedTuple

from fastdns.counted import counted
from fastdns.errors import FastdnsError, SourceError
from fastdns.memory._store import Writer
from fastdns.plugins.hosts import published
from fastdns.plugins.hosts._parsing import HostsReader
from fastdns.plugins.hosts.config import RELOAD_S, Config
from fastdns.plugins.hosts.published import Published
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.rrsets.publishing import SLICE_NS, publish

log = logging.getLogger("plugin/hosts")

ROOT = b"\0"
# A hosts file is text that is read whole.
MAX_FILE_BYTES = 1 << 28


class Identity(NamedTuple):
    """What tells one content of a file from another."""

    device: int
    inode: int
    size: int
    changed_ns: int


class Content(NamedTuple):
    """What was read. identity: None where there is no file. skipped: lines of the file."""

    identity: Identity | None
    draft: Draft
    said: Published
    skipped: int
    first_skipped: int


def look_at(path: str) -> Identity:
    """Raises OSError, and SourceError where it is no file that can be read."""
    found = Path(path).stat()
    if not stat.S_ISREG(found.st_mode):
        raise SourceError("it is no regular file")
    if found.st_size > MAX_FILE_BYTES:
        raise SourceError(f"it has {found.st_size} bytes; at most {MAX_FILE_BYTES} are read")
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def parse(config: Config, identity: Identity | None) -> Content:
    """Read the file, if there is one, and the lines of the Corefile. Raises OSError."""
    draft = Draft(ROOT)
    reader = HostsReader()
    if identity is not None:
        with Path(config.path).open("rb") as file:
            reader.read(draft, file.read(MAX_FILE_BYTES))
    skipped, first_skipped = reader.skipped, reader.first_skipped
    reader.read(draft, "\n".join(config.inline).encode())
    draft.prepare()
    read_at = identity.changed_ns / 1e9 if identity else 0.0
    said = Published(reader.addresses, reader.pointers, reader.skipped, read_at)
    return Content(identity, draft, said, skipped, first_skipped)


class HostsSource:
    """One file, and the lines that stand in the Corefile beside it."""

    def __init__(self, number: int, config: Config, writer: Writer) -> None:
        self.number = number
        self.config = config
        self.zones = ZoneWriter(writer, number)
        # A predecessor may have published it.
        self.published = ROOT in self.zones.zones()
        self.identity: Identity | None = None
        # What was said in the log last.
        self.trouble = ""
        self.told_inline = False

    def restore(self) -> None:
        """Nothing was kept."""

    async def run(self) -> None:
        """Serve the file until cancelled."""
        await self.refresh()
        while self.config.reload_s or not self.published:
            await asyncio.sleep(self.config.reload_s or RELOAD_S)
            await self.refresh()
        await asyncio.Event().wait()

    async def refresh(self) -> None:
        """Publish what the file says now, if that may be something new."""
        try:
            identity = await asyncio.to_thread(look_at, self.config.path)
            if self.published and identity == self.identity:
                self.trouble = ""
                return
            content = await asyncio.to_thread(parse, self.config, identity)
        except (OSError, SourceError) as error:
            self.tell(error)
            if self.published:
                return
            content = await asyncio.to_thread(parse, self.config, None)
        else:
            self.trouble = ""
        try:
            await publish(self.zones, content.draft)
            published.write(self.zones.writer, self.number, content.said)
        except FastdnsError as error:
            self.tell(error)
            return
        self.identity = content.identity
        self.published = True
        self.zones.writer.set_source(self.number, synced=True)
        log.debug("Parsed hosts file into %d entries", content.said.addresses + content.said.pointers)
        if content.skipped:
            log.warning(
                "%s: %s skipped, as no entry of a hosts file; the first one is line %d",
                self.config.path, counted(content.skipped, "line", ("is", "are")), content.first_skipped,
            )  # fmt: skip
        if content.said.skipped > content.skipped and not self.told_inline:
            log.warning(
                "%s: of the Corefile, %s skipped, as no option and no entry of a hosts file",
                self.config.path, counted(content.said.skipped - content.skipped, "line", ("is", "are")),
            )  # fmt: skip
            self.told_inline = True

    def tell(self, error: Exception) -> None:
        """Say once why the file cannot be read. One that is not there yet is mentioned where a Corefile is read."""
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if what != self.trouble and (self.published or not isinstance(error, FileNotFoundError)):
            log.warning("%s: %s; what is served stays", self.config.path, what)
        self.trouble = what

    def tick(self) -> None:
        self.zones.settle(SLICE_NS)

    async def close(self) -> None:
        """Nothing is open."""
