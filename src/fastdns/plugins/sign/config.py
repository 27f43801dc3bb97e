"""The options of sign: zone files, the keys that sign them, and where what is signed goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, one, read_options, to_zones
from fastdns.dns.signing_keys import file_base

# CoreDNS's.
DEFAULT_DIRECTORY = "/var/lib/coredns"
MAX_KEYS = 16
IN_FILES, IN_DIRECTORY = "file", "directory"
SOURCES = (IN_FILES, IN_DIRECTORY)


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where keys are. source: of SOURCES. path: of a key's files without .key or .private, or of a directory;
    resolved against the root."""

    source: str
    path: str


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone to be signed. file: that holds it. directory: where the signed one goes. Paths are resolved against
    the root."""

    name: str
    file: str
    directory: str
    keys: tuple[KeySource, ...]

    @property
    def signed_file(self) -> str:
        """The file that is written."""
        return str(Path(self.directory) / f"db.{self.name}signed")


@dataclass(frozen=True, slots=True)
class Config:
    """All *sign* directives of a block."""

    zones: tuple[Zone, ...]


def parse(d: Dispenser, block: BlockContext) -> Config:
    """A directive for each zone file. Raises CorefileError."""
    zones: list[Zone] = []
    for _ in d.occurrences():
        if not d.next_arg():
            raise d.arg_error("a zone file, and optionally its zones")
        file = block.resolve(to_path(d, d.text))
        begin = d.error("no key is given; expected key file KEY..., or key directory DIR...")
        names = to_zones(d, d.remaining_args()) or block.zones
        fields: dict[str, Any] = {"keys": (), "directory": DEFAULT_DIRECTORY}
        read_options(d, options(block), fields)
        if not fields["keys"]:
            raise begin
        zones += [Zone(name, file, fields["directory"], fields["keys"]) for name in names]
    return Config(tuple(zones))


def options(block: BlockContext) -> dict[str, Option]:
    """What may stand in the block of a directive."""

    def key(d: Dispenser, fields: dict[str, Any]) -> None:
        fields["keys"] += tuple(key_sources(d, block))
        if len(fields["keys"]) > MAX_KEYS:
            raise d.error(f"more than {MAX_KEYS} keys")

    def directory(d: Dispenser, fields: dict[str, Any]) -> None:
        fields["directory"] = block.resolve(to_path(d, one(d)))

    return {"key": key, "directory": directory}


def key_sources(d: Dispenser, block: BlockContext) -> list[KeySource]:
    """file KEY..., or directory DIR..."""
    source = d.text if d.next_arg() else ""
    if source not in SOURCES:
        raise d.arg_error(f"{' or '.join(SOURCES)}, and where the keys are")
    paths = [to_path(d, path) for path in d.remaining_args()]
    if not paths:
        raise d.arg_error("one key at least" if source == IN_FILES else "one directory at least")
    return [KeySource(source, block.resolve(path if source == IN_DIRECTORY else file_base(path))) for path in paths]


def to_path(d: Dispenser, text: str) -> str:
    """A path. U+FFFD stands for what was no UTF-8. Raises CorefileError."""
    if "\0" in text or "\ufffd" in text:
        raise d.error(f"{text!r} contains invalid characters")
    return text
