"""The options of root: the directory that the files of later plugins are relative to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import one


@dataclass(frozen=True, slots=True)
class Config:
    """path: as written; relative to the working directory of the server."""

    path: str


def parse(d: Dispenser, block: BlockContext) -> Config:
    """The last occurrence counts. The path may be missing; raises CorefileError if it cannot be looked at."""
    path = block.root
    for _ in d.occurrences():
        path = one(d, "a directory")
    try:
        Path(path).stat()
    except FileNotFoundError:
        # The directory may be mounted later.
        block.warnings.append(f"plugin/root: Root path does not exist: {path}")
    except (OSError, ValueError) as error:
        raise d.error(f"unable to access the root path {path!r}: {error}") from None
    return Config(path)
