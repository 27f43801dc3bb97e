"""The options of nsid: how this server calls itself."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser

# All EDNS options of the server's own in one reply have 512 bytes together.
MAX_DATA_BYTES = 255


@dataclass(frozen=True, slots=True)
class Config:
    """data: None: the name of the host."""

    data: bytes | None = None


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError."""
    config = Config()
    for _ in d.occurrences(once=True):
        args = d.remaining_args()
        data = " ".join(args).encode(errors="surrogateescape") if args else None
        if data is not None and len(data) > MAX_DATA_BYTES:
            raise d.error(f"the identifier has at most {MAX_DATA_BYTES} bytes, got {len(data)}")
        config = Config(data)
    return config
