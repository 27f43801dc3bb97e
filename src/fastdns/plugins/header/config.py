"""The options of header: which bits of the header are set or cleared, in queries and in responses."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, read_options

# RFC 1035 section 4.1.1, as bits of the header's second 16.
FLAGS = {"aa": 0x0400, "ra": 0x0080, "rd": 0x0100}


@dataclass(frozen=True, slots=True)
class Bits:
    """Header bits that are set and that are cleared; none is in both."""

    set: int = 0
    cleared: int = 0

    def then(self, action: str, flags: int) -> Bits:
        """What both come to; the later one counts."""
        if action == "set":
            return Bits(self.set | flags, self.cleared & ~flags)
        return Bits(self.set & ~flags, self.cleared | flags)


@dataclass(frozen=True, slots=True)
class Config:
    """query: what upstreams are asked with. response: what clients get."""

    query: Bits = Bits()
    response: Bits = Bits()


def parse(d: Dispenser, block: BlockContext) -> Config:
    """The first occurrence that says anything counts. Raises CorefileError."""
    found = list[Config]()
    for _ in d.occurrences():
        fields: dict[str, Bits] = {}
        if d.remaining_args():
            raise d.arg_error("a block of rules")
        if read_options(d, _Selectors(), fields):
            found.append(Config(**fields))
    if not found:
        raise d.error("expected a rule: query or response, set or clear, and flags")
    return found[0]


class _Selectors(dict[str, Option]):
    """The two selectors, in any case."""

    def __init__(self) -> None:
        super().__init__({"query": _rule, "response": _rule})

    def get(self, name: str, default: Option | None = None) -> Option | None:  # type: ignore[override]
        return super().get(name.lower(), default)


def _rule(d: Dispenser, fields: dict[str, Bits]) -> None:
    selector = d.text.lower()
    args = [arg.lower() for arg in d.remaining_args()]
    if not args or args[0] not in ("set", "clear"):
        raise d.error(f"expected set or clear behind {selector}" + (f", got {args[0]!r}" if args else ""))
    if len(args) == 1:
        raise d.arg_error("at least one flag")
    for flag in args[1:]:
        if flag not in FLAGS:
            raise d.error(f"{flag!r} is none of the flags {', '.join(FLAGS)}")
        fields[selector] = fields.get(selector, Bits()).then(args[0], FLAGS[flag])
