"""The options of hosts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, duration, flag, integer, read_options, store, to_zones

FILE = "/etc/hosts"
TTL_S = 3600
MAX_TTL_S = 65535
RELOAD_S = 5.0


@dataclass(frozen=True, slots=True)
class Config:
    """path: of the file, with *root* before it where it is relative. inline: lines of the Corefile.

    zones: those of the block where none are named. reload_s: between two looks at the file; 0: it is read once.
    fallthrough: zones; None: there is none.
    """

    path: str = FILE
    inline: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    ttl_s: int = TTL_S
    reload_s: float = RELOAD_S
    no_reverse: bool = False
    fallthrough: tuple[str, ...] | None = None
    fallthrough_unsupported: bool = False


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Parse the directive, which a block may have once. Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        file, *zones = d.remaining_args() or (None,)
        if file is not None:
            fields["path"] = block.resolve(file)
            _look_at(d, fields["path"], block)
        fields["zones"] = to_zones(d, zones) or block.zones
        read_options(d, OPTIONS, fields, ENDING, other=lambda d, fields: _inline(d, fields, block))
        if "fallthrough_unsupported" in fields and "fallthrough" not in fields:
            raise d.error("fallthrough_unsupported requires fallthrough")
    return Config(**fields)


def _look_at(d: Dispenser, file: str, block: BlockContext) -> None:
    """A file may be missing: it may come later. Raises CorefileError where it cannot be looked at."""
    try:
        if Path(file).is_dir():
            block.warnings.append(f'plugin/hosts: Hosts file "{file}" is a directory')
        Path(file).stat()
    except FileNotFoundError:
        block.warnings.append(f"plugin/hosts: File does not exist: {file}")
    except (OSError, ValueError) as error:
        raise d.error(f"unable to access hosts file '{file}': {error}") from None


# Options


def _fallthrough(d: Dispenser) -> tuple[str, ...]:
    return to_zones(d, d.remaining_args()) or (".",)


def _inline(d: Dispenser, fields: dict[str, Any], block: BlockContext) -> bool:
    """A line of a hosts file. Behind fallthrough it is an error, as in CoreDNS."""
    if "fallthrough" in fields:
        return False
    d.ends_after = 0
    words = (d.text, *d.remaining_args())
    if len(words) == 1 or not _is_address(words[0]):
        # Most often an option that is spelt wrong.
        said = repr(" ".join(words)[:64])
        block.warnings.append(
            f"plugin/hosts: {d.file}:{d.line} - {said} is no option and no line of a hosts file: it is skipped"
        )
    fields["inline"] = (*fields.get("inline", ()), " ".join(words))
    return True


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word.partition("%")[0])
    except ValueError:
        return False
    return True


OPTIONS: dict[str, Option] = {
    "fallthrough": store("fallthrough", _fallthrough),
    "fallthrough_unsupported": store("fallthrough_unsupported", flag),
    "no_reverse": store("no_reverse", flag),
    "ttl": store("ttl_s", integer(1, MAX_TTL_S)),
    "reload": store("reload_s", duration()),
}

# Options after which CoreDNS accepts the closing brace on the same line: see read_options.
ENDING = {"fallthrough": 0, "no_reverse": 0, "ttl": 1}
