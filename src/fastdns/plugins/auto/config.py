"""The options of auto: a directory of zone files, and which zones its files hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext, Secondaries
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, duration, read_options, store, to_zones

if TYPE_CHECKING:
    from fastdns.regex import Regex

PATTERN = r"db\.(.*)"
TEMPLATE = "${1}"
RELOAD_S = 60.0
MAX_PATTERN_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class Directory:
    """path: resolved against the root. pattern: which file names hold zones; template: which, in Go's form."""

    path: str
    pattern: str = PATTERN
    template: str = TEMPLATE


@dataclass(frozen=True, slots=True)
class Config:
    """zones: below which zones are served. reload_s: how often the directory is looked at; 0: never again.

    fallthrough: zones whose unknown names go to the next plugin; None: none do. secondaries: who
    transfers the zones.
    """

    zones: tuple[str, ...]
    directory: Directory | None = None
    reload_s: float = RELOAD_S
    fallthrough: tuple[str, ...] | None = None
    secondaries: tuple[Secondaries, ...] = ()


def parse(d: Dispenser, block: BlockContext) -> Config:
    """As in CoreDNS, what a further directive of the block says takes the place of what was said before."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences():
        fields["zones"] = to_zones(d, d.remaining_args()) or block.zones
        read_options(d, {**OPTIONS, "directory": store("directory", lambda d: directory(d, block))}, fields)
        if fields.pop("upstream", None):
            block.warnings.append(
                "plugin/auto: upstream does nothing: names elsewhere are looked up through the server itself"
            )
    if "directory" not in fields:
        block.warnings.append("plugin/auto: it has no directory, and so no zones")
    return Config(**fields, secondaries=block.secondaries)


def directory(d: Dispenser, block: BlockContext) -> Directory:
    """DIR [REGEXP ORIGIN_TEMPLATE]"""
    args = d.remaining_args()
    if len(args) not in (1, 3):
        raise d.arg_error("a directory, and optionally a regular expression and the template of an origin")
    path = block.resolve(args[0])
    try:
        Path(path).stat()
    except FileNotFoundError:
        # It may be mounted later.
        block.warnings.append(f"plugin/auto: Directory does not exist: {path}")
    except (OSError, ValueError) as error:
        raise d.error(f"unable to access the directory {path!r}: {error}") from None
    if len(args) == 1:
        return Directory(path)
    if compiled(d, args[1]).groups == 0:
        raise d.error("Need at least one sub expression")
    # As CoreDNS does: {1} becomes ${1}.
    return Directory(path, args[1], args[2].replace("{", "${"))


def compiled(d: Dispenser, text: str) -> Regex:
    """A regular expression. Raises CorefileError."""
    if len(text) > MAX_PATTERN_CHARACTERS:
        raise d.error(f"the regular expression is too long: {len(text)} > {MAX_PATTERN_CHARACTERS}")
    from fastdns.regex import Regex, RegexError

    try:
        return Regex(text)
    except RegexError as error:
        raise d.error(str(error)) from None


def fallthrough(d: Dispenser) -> tuple[str, ...]:
    """Zones; all where none is named."""
    return to_zones(d, d.remaining_args()) or (".",)


def upstream(d: Dispenser) -> bool:
    """Once an option; CoreDNS reads it, and does nothing with it."""
    d.remaining_args()
    return True


OPTIONS: dict[str, Option] = {
    "reload": store("reload_s", duration()),
    "fallthrough": store("fallthrough", fallthrough),
    "upstream": store("upstream", upstream),
}
