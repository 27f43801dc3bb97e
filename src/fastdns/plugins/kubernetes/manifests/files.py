"""The files of manifests: which have changed, what they hold, and what is wrong with them.

A file that cannot be read or understood is an error with its file and line, and its last good content stays. So it
does for a file that is emptied, a named file that vanishes, or a whole folder; a file that leaves a watched folder
takes its objects with it. A file that is being written is left until it is whole.

A field that is left out is said with file, line, object and field, once, and counted. When it is right again, the
log says so.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fastdns.counted import counted
from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.manifests.parsing import Found, LeftOut, decoded, parse_manifests

log = logging.getLogger("plugin/kubernetes")

SUFFIXES = (".yaml", ".yml", ".json")
# A file that was written to within this time may not be whole yet: its writer may have emptied it first.
SETTLE_S = 0.03
# And one that was written to in place and has lost objects within this time: the rest of it may be on its way.
LOSS_S = 0.3
MAX_FILE_BYTES = 256 * 1024 * 1024
# Fields of one file, of those that are said at a time; further ones are only counted.
MAX_SAID = 10

# What tells that a file may have changed: modification time, size, inode, and the resolved path.
Signature = tuple[int, int, int, str]


def signature_of(path: Path) -> Signature:
    """What a file looks like now. Raises OSError."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino, str(path.resolve())


@dataclass(slots=True)
class File:
    """What is known of one file: when it was read, and what it held."""

    signature: Signature | None = None
    found: list[Found] = field(default_factory=list)
    read: bool = False


class ManifestFiles:
    """Files, and folders whose ``*.yaml``, ``*.yml`` and ``*.json`` are read, but not their subfolders."""

    def __init__(
        self, paths: Iterable[str], *, on_left_out: Callable[[str, str], None] = lambda resource, what: None
    ) -> None:
        self.paths = [Path(path) for path in paths]
        self.files: dict[Path, File] = {}
        self.complaints: dict[Path, str] = {}
        # By file: what is left out of it now.
        self.left_out: dict[Path, dict[tuple[str, str], LeftOut]] = {}
        self.on_left_out = on_left_out
        # Whether a file is left for later, as it is being written.
        self.unsettled = False

    @property
    def complete(self) -> bool:
        """Whether every file could be read once."""
        return all(file.read for file in self.files.values())

    def found(self) -> Iterable[Found]:
        """Every object, file by file."""
        for file in self.files.values():
            yield from file.found

    def listed(self) -> dict[Path, bool]:
        """Every file to read; True where it was named itself."""
        listed: dict[Path, bool] = {}
        for path in self.paths:
            if path.is_dir():
                with contextlib.suppress(OSError):
                    for entry in sorted(path.iterdir()):
                        if entry.suffix in SUFFIXES and entry.is_file():
                            listed.setdefault(entry, False)
            else:
                listed[path] = True
                # A folder that is gone, and perhaps will be back, denies nothing that it held.
                listed.update((known, False) for known in self.files if known.parent == path)
        return listed

    def read_changed(self) -> bool:
        """Read what has changed since the last time. Returns whether anything has."""
        listed = self.listed()
        changed = self.unsettled = False
        for gone in [path for path in self.files if path not in listed]:
            del self.files[gone]
            self.complaints.pop(gone, None)
            self.left_out.pop(gone, None)
            changed = True
        for path in listed:
            file = self.files.setdefault(path, File())
            try:
                signature = signature_of(path)
                if signature == file.signature:
                    continue
                found = self.read(path, file, signature)
                if found is None:
                    self.unsettled = True
                    continue
                file.found = found
                file.signature = signature
                file.read = True
                changed = True
                if self.complaints.pop(path, None) is not None:
                    log.info("%s is valid again; its present content is served", path)
                self.note(path, found)
            except SourceError as error:
                file.signature = signature
                self.complain(path, str(error), file.read)
            except OSError as error:
                file.signature = None
                self.complain(path, f"{path} cannot be read: {error}", file.read)
        return changed

    @staticmethod
    def read(path: Path, file: File, signature: Signature) -> list[Found] | None:
        """The objects of a file with this signature, or None while it is written. Raises as parsing does."""
        modified_ns, size, *place = signature
        quiet_s = time.time() - modified_ns / 1e9
        # The first time there is nothing better.
        if file.read and 0 <= quiet_s < SETTLE_S:
            return None
        if size > MAX_FILE_BYTES:
            raise SourceError(f"{path} has {size} bytes; at most {MAX_FILE_BYTES} are read")
        # A pipe would be waited for, and a device be read without end.
        if not path.is_file():
            raise SourceError(f"{path} is not a regular file")
        data = path.read_bytes()
        if len(data) != size or signature_of(path) != signature:
            return None
        found = parse_manifests(decoded(data, path), str(path))
        if file.read and (file.signature is None or place == list(file.signature[2:])):
            lost = {one.key for one in file.found} - {one.key for one in found}
            if lost and 0 <= quiet_s < LOSS_S:
                return None
        if file.found and not data:
            # Truncated by who then has nothing to say, or no room on the disk to say it.
            raise SourceError(f"{path} is empty")
        return found

    def complain(self, path: Path, text: str, served: bool) -> None:
        """Log an error once until it changes."""
        if self.complaints.get(path) != text:
            self.complaints[path] = text
            log.error("%s%s", text, "; its previous content is still served" if served else "")

    def note(self, path: Path, found: list[Found]) -> None:
        """Say and count what of a file is newly left out, and say what is right again."""
        before = self.left_out.get(path, {})
        now = {(one.field, one.text): one for each in found for one in each.left_out}
        new = [one for key, one in now.items() if key not in before]
        for one in new:
            self.on_left_out(one.resource.name.lower(), one.what)
        for one in new[:MAX_SAID]:
            log.warning("%s - %s: %s; it is left out", one.where, one.field, one.text)
        if len(new) > MAX_SAID:
            log.warning("%s: %s left out", path, counted(len(new) - MAX_SAID, "more field", ("is", "are")))
        wrong = {which for which, _ in now}
        right = [which for which in dict.fromkeys(which for which, _ in before) if which not in wrong]
        for which in right[:MAX_SAID]:
            log.info("%s - %s is valid now", path, which)
        if len(right) > MAX_SAID:
            log.info("%s: %s valid now", path, counted(len(right) - MAX_SAID, "more field", ("is", "are")))
        if now:
            self.left_out[path] = now
        else:
            self.left_out.pop(path, None)
