"""The options of chaos: what the server says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns import __version__
from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import read_options

VERSION = f"fastdns-{__version__}"
AUTHORS = ("the fastdns authors",)
# More than one message holds, whatever they are called.
MAX_AUTHORS = 1000


@dataclass(frozen=True, slots=True)
class Config:
    """version: in answer to version.bind. authors: to authors.bind, each once."""

    version: str = VERSION
    authors: tuple[str, ...] = AUTHORS


def parse(d: Dispenser, block: BlockContext) -> Config:
    """The first occurrence counts. Raises CorefileError."""
    configs = [_occurrence(d) for _ in d.occurrences()]
    return configs[0]


def _occurrence(d: Dispenser) -> Config:
    args = d.remaining_args()
    authors = tuple(sorted(set(args[1:])))
    if len(authors) > MAX_AUTHORS:
        raise d.error(f"at most {MAX_AUTHORS} authors, got {len(authors)}")
    # It has no options; an empty block is none.
    read_options(d, {}, {})
    return Config(args[0] if args else VERSION, authors or AUTHORS)
