"""The options of erratic: how many queries are dropped, truncated and delayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import at_most_one, flag, read_options, store, to_duration_s, to_int

DEFAULT_AMOUNT = 2
MAX_AMOUNT = 2**31 - 1
DEFAULT_DELAY_S = 0.1
# Clients have given up long before; the query takes a place until then.
MAX_DELAY_S = 60.0


@dataclass(frozen=True, slots=True)
class Config:
    """drop, truncate, delay: of so many queries one; 0: none. delay_s: how long. large: 30 records for A."""

    drop: int = DEFAULT_AMOUNT
    truncate: int = 0
    delay: int = 0
    delay_s: float = DEFAULT_DELAY_S
    large: bool = False


def parse(d: Dispenser, block: BlockContext) -> Config:
    """The last setting counts. Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences():
        flag(d)
        read_options(d, OPTIONS, fields)
    if fields.get("truncate") or fields.get("delay"):
        # Queries are dropped by default only where nothing else is done to them.
        fields.setdefault("drop", 0)
    return Config(**fields)


def _amount(d: Dispenser, text: str | None, option: str) -> int:
    if text is None:
        return DEFAULT_AMOUNT
    return to_int(d, text, f"the amount of {option}", 0, MAX_AMOUNT)


def _of_so_many(d: Dispenser) -> int:
    option = d.text
    return _amount(d, at_most_one(d), option)


def _delay(d: Dispenser, fields: dict[str, Any]) -> None:
    args = d.remaining_args()
    if len(args) > 2:
        raise d.arg_error("at most an amount and a duration")
    fields["delay"] = _amount(d, args[0] if args else None, "delay")
    fields["delay_s"] = DEFAULT_DELAY_S
    if len(args) == 2:
        fields["delay_s"] = to_duration_s(d, args[1], "the delay", 0.0, MAX_DELAY_S)


OPTIONS = {
    "drop": store("drop", _of_so_many),
    "truncate": store("truncate", _of_so_many),
    "delay": _delay,
    "large": store("large", flag),
}
