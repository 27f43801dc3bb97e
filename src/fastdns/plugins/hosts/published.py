"""What a source says of its hosts file beside the names: one record of the store, which the supervisor reads."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from fastdns.memory._store import Store, Writer

# Too short for the keys of zones of RRsets (rrsets/_layout.pxd), which do not look at it.
KIND = b"F"
_LAYOUT = struct.Struct("=QQQd")


@dataclass(frozen=True, slots=True)
class Published:
    """addresses, pointers: the address and PTR records that file and Corefile make.

    skipped: lines that cannot be used. read_at: the Unix time of the file's last change; 0: it was never there.
    """

    addresses: int = 0
    pointers: int = 0
    skipped: int = 0
    read_at: float = 0.0


def write(writer: Writer, number: int, said: Published) -> None:
    """Raises StoreFull."""
    payload = _LAYOUT.pack(said.addresses, said.pointers, said.skipped, said.read_at)
    writer.publish(number.to_bytes(2, "big") + KIND, payload)


def read(store: Store, number: int) -> Published | None:
    """What the source with a number says; None: nothing yet."""
    payload = store.get(number.to_bytes(2, "big") + KIND)
    return None if payload is None or len(payload) != _LAYOUT.size else Published(*_LAYOUT.unpack(payload))
