"""A cluster on disk: what was last known of it, for a start at which the API server cannot be asked, or not yet.

    header | records (see _entries.pxd) | trailer

Numbers are in this machine's byte order; on one of another order the file is of another version. The digest in the
trailer is of everything before it. Nothing in a file is about zones: any block whose options keep the same objects
of the same cluster can use it.

A file is replaced as a whole (written beside, synced, renamed), so there is always a good one; what is wrong with
one that is read is a SourceError with its path, and the server starts without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastdns.errors import SourceError
from fastdns.memory._store import Store
from fastdns.plugins.kubernetes.snapshot._copy import Copy

MAGIC = b"fastdns\0"
# Of this file's layout and of the records' (_layout.pxd): to be raised with either.
VERSION = 3
# magic, version, 0, fingerprint, as of, seed of ids, serial, serial of multicluster zones, uid
UID_CHARACTERS = 40
HEADER = struct.Struct(f"=8sII16sQQQQ{UID_CHARACTERS}s")
# records, bytes of records, digest
TRAILER = struct.Struct("=QQ16s")
DIGEST_BYTES = 16
# How often a copy begins again because the store's index has grown under it.
TRIES = 5


@dataclass(frozen=True, slots=True)
class Head:
    """What a snapshot says of itself.

    as_of: the Unix second at which the API server was last heard. uid: of its kube-system namespace, "" where that
    is not known. serials: of the SOA, of the zones and of the multicluster zones. id_seed: of the hashes in the
    records.
    """

    fingerprint: bytes
    as_of: int
    id_seed: int
    serials: tuple[int, int]
    uid: str

    def pack(self) -> bytes:
        """As it stands in the file."""
        uid = self.uid[:UID_CHARACTERS].encode("ascii", "replace")
        return HEADER.pack(MAGIC, VERSION, 0, self.fingerprint, self.as_of, self.id_seed, *self.serials, uid)


def fingerprint(options: Any) -> bytes:
    """16 bytes that are equal for options that keep the same objects of the same cluster."""
    shaping = (
        options.endpoint, options.kubeconfig, options.context, options.namespace_labels, options.labels,
        options.pods == "verified", options.endpoint_pod_names, options.noendpoints, bool(options.multicluster),
        options.zonal, *(("exposed",) if options.exposed else ()),
        *((options.described,) if options.described else ()),
    )  # fmt: skip
    return hashlib.blake2b(repr(shaping).encode(), digest_size=DIGEST_BYTES).digest()


# Writing


def write_snapshot(path: str, head: Head, store: Store, source: int) -> int:
    """Replace the file at path by the records of a source. Returns its size. Raises OSError, with the old one kept.

    Meant for a thread: the writer of the store goes on meanwhile.
    """
    beside = f"{path}.new"
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            size = write_whole(fd, head, Copy(store, source))
            os.fsync(fd)
        finally:
            os.close(fd)
        Path(beside).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(beside).unlink()
        raise
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return size


def write_whole(fd: int, head: Head, copy: Copy) -> int:
    """Write header, records and trailer. Raises OSError."""
    for _ in range(TRIES):
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        size = 0
        chunk: bytes | None = head.pack()
        while chunk:
            digest.update(chunk)
            write_all(fd, chunk)
            size += len(chunk)
            chunk = copy.chunk()
        if chunk is not None:
            counts = copy.records, size - HEADER.size
            digest.update(TRAILER.pack(*counts, b"")[: -DIGEST_BYTES])
            write_all(fd, TRAILER.pack(*counts, digest.digest()))
            return size + TRAILER.size
        copy.start()
    raise OSError(0, f"the store's index has grown {TRIES} times meanwhile")


def write_all(fd: int, data: bytes) -> None:
    """os.write may take less than it is given: of a disk that becomes full."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


# Reading


def read_snapshot(
    path: str, expected: bytes, max_age_s: float, max_bytes: int, now: float | None = None
) -> tuple[Head, bytes] | None:
    """The head and the records of the file at path; None where there is no file.

    Raises SourceError, one line with the path and what is wrong, unless the file is whole, has the fingerprint
    expected and is at most max_age_s old. What the records hold is for _restore.restore to see.
    """
    try:
        # Not blocking: opening a named pipe would wait for its writer.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"{path} is not a regular file")
        if status.st_size > max_bytes:
            raise SourceError(f"{path} has {status.st_size} bytes; the zone store takes {max_bytes}")
        with open(fd, "rb", closefd=False) as file:
            data = file.read(max_bytes)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    finally:
        os.close(fd)
    return parse(path, data, expected, max_age_s, time.time() if now is None else now)


def parse(path: str, data: bytes, expected: bytes, max_age_s: float, now: float) -> tuple[Head, bytes]:
    """What the bytes of a file say. Raises SourceError."""
    if len(data) < 12 or data[: len(MAGIC)] != MAGIC:
        raise SourceError(f"{path} is no snapshot")
    (version,) = struct.unpack_from("=I", data, len(MAGIC))
    if version != VERSION:
        raise SourceError(f"{path} is a snapshot of version {version}; this is version {VERSION}")
    if len(data) < HEADER.size + TRAILER.size:
        raise SourceError(f"{path} is cut off after {len(data)} bytes")
    _, body_bytes, digest = TRAILER.unpack_from(data, len(data) - TRAILER.size)
    if hashlib.blake2b(memoryview(data)[:-DIGEST_BYTES], digest_size=DIGEST_BYTES).digest() != digest:
        raise SourceError(f"{path} is damaged or cut off: its checksum does not match")
    if HEADER.size + body_bytes + TRAILER.size != len(data):
        raise SourceError(f"{path} has {len(data)} bytes, not those that it says")
    _, _, _, of, as_of, id_seed, serial, other_serial, uid = HEADER.unpack_from(data)
    if of != expected:
        raise SourceError(f"{path} is of another cluster, or was kept with other options of kubernetes")
    if now - as_of > max_age_s:
        raise SourceError(f"{path} is {now - as_of:.0f} s old; at most {max_age_s:g} s are allowed")
    if as_of - now > max_age_s:
        raise SourceError(f"{path} is from {as_of - now:.0f} s in the future")
    head = Head(of, as_of, id_seed, (serial, other_serial), uid.rstrip(b"\0").decode("ascii", "replace"))
    return head, data[HEADER.size : -TRAILER.size]
