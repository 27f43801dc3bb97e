"""The options of cache: what of upstream answers is kept, how much, for how long, and how stale it may be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import (
    A_DURATION,
    Option,
    flag,
    one,
    read_options,
    store,
    to_duration_s,
    to_int,
    to_zones,
)
from fastdns.plugins.cache._cache import MAX_CAPACITY, MAX_RING_BYTES, MIN_RING_BYTES

# RFC 2181 section 8.
MAX_TTL_S = 2**31 - 1
# RFC 2308 section 7.1.
MAX_SERVFAIL_S = 300.0
# RFC 8767 section 5.
MAX_RECHECK_S = 300.0
# What the counter of hits holds.
MAX_PREFETCH_HITS = 2**24 - 1

_SIZE = re.compile(r"([0-9]{1,15})(k|M|G|Ki|Mi|Gi)?")
_UNITS = {None: 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@dataclass(frozen=True, slots=True)
class Half:
    """What one half of the cache, success or denial, holds and for how long.

    capacity: entries. max_bytes: what they may take, None for 512 bytes an entry. max_ttl_s and min_ttl_s bound
    TTLs; the greater one counts last. disabled: zones of whose names nothing is kept in this half.
    """

    capacity: int = 10_000
    max_bytes: int | None = None
    max_ttl_s: int = 3600
    min_ttl_s: int = 5
    disabled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prefetch:
    """An entry is fetched again after that many hits without a gap of window_s, once percent of its TTL is left."""

    hits: int
    window_s: float = 60.0
    percent: int = 10


@dataclass(frozen=True, slots=True)
class Stale:
    """Expired entries are served for limit_s more seconds, with ttl_s.

    verify: only after the upstream has failed, or has been silent for timeout_s (0: until it fails). Otherwise at
    once. After a refresh that failed the next one waits for recheck_s (0: it does not). prefer_positive: an
    answer that is stale goes before a denial that is not.
    """

    limit_s: float = 3600.0
    verify: bool = False
    timeout_s: float = 0.0
    ttl_s: int = 0
    recheck_s: float = 0.0
    prefer_positive: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """zones: of whose names answers are kept. servfail_s: how long SERVFAIL and NOTIMP are, 0 for not at all.

    keep_ttl: answers show the TTL that they began with.
    """

    zones: tuple[str, ...]
    success: Half = field(default_factory=Half)
    denial: Half = field(default_factory=lambda: Half(max_ttl_s=1800))
    servfail_s: float = 5.0
    prefetch: Prefetch | None = None
    stale: Stale | None = None
    keep_ttl: bool = False


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError; once in a block."""
    config = Config(block.zones)
    for _ in d.occurrences(once=True):
        config = _arguments(d, config)
        fields: dict[str, Any] = {"success": config.success, "denial": config.denial}
        read_options(d, OPTIONS, fields, ENDING)
        if (alone := fields.pop("policy", None)) is not None:
            if "stale" not in fields:
                raise alone
            fields["stale"] = replace(fields["stale"], prefer_positive=True)
        config = replace(config, **fields)
    return config


def _arguments(d: Dispenser, config: Config) -> Config:
    """``[TTL] [ZONES...]``: what is a whole number in the first place is a TTL."""
    args = d.remaining_args()
    if args and re.fullmatch(r"[+-]?[0-9]+", args[0]):
        ttl_s = _ttl(d, args.pop(0))
        config = replace(
            config,
            success=replace(config.success, max_ttl_s=ttl_s),
            denial=replace(config.denial, max_ttl_s=ttl_s),
        )
    return replace(config, zones=to_zones(d, args) or config.zones)


def _ttl(d: Dispenser, text: str) -> int:
    return to_int(d, text, "the TTL", 1, MAX_TTL_S)


def _half(name: str) -> Option:
    """``success|denial CAPACITY [TTL] [MINTTL]``."""

    def read(d: Dispenser, fields: dict[str, Any]) -> None:
        args = d.remaining_args()
        if not 1 <= len(args) <= 3:
            raise d.arg_error("a capacity, and optionally a TTL and a least TTL")
        half = replace(fields[name], capacity=to_int(d, args[0], f"the capacity of {name}", 0, MAX_CAPACITY))
        if len(args) > 1:
            half = replace(half, max_ttl_s=_ttl(d, args[1]))
        if len(args) > 2:
            half = replace(half, min_ttl_s=to_int(d, args[2], "the least TTL", 0, MAX_TTL_S))
        fields[name] = half

    return read


def _prefetch(d: Dispenser) -> Prefetch | None:
    args = d.remaining_args()
    if not 1 <= len(args) <= 3:
        raise d.arg_error("a number of hits, and optionally a duration and a percentage")
    prefetch = Prefetch(to_int(d, args[0], "the hits of prefetch", 0, MAX_PREFETCH_HITS))
    if len(args) > 1:
        prefetch = replace(prefetch, window_s=to_duration_s(d, args[1], "the duration of prefetch"))
    if len(args) > 2:
        if not args[2].endswith("%"):
            raise d.error(f"the percentage of prefetch ends in %, got {args[2]!r}")
        prefetch = replace(prefetch, percent=to_int(d, args[2][:-1], "the percentage of prefetch", 10, 90))
    return prefetch if prefetch.hits else None


def _stale(d: Dispenser) -> Stale:
    """``serve_stale [DURATION] [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]``."""
    expected = "a duration, then immediate [TTL [RECHECK]] or verify [TIMEOUT [TTL [RECHECK]]]"
    args = d.remaining_args()
    stale = Stale()
    if args:
        stale = replace(stale, limit_s=to_duration_s(d, args[0], "the duration of serve_stale"))
    if len(args) > 1:
        mode = args[1].lower()
        if mode not in ("immediate", "verify"):
            raise d.error(f"{args[1]!r} is no way to serve stale answers; it is immediate or verify")
        stale = replace(stale, verify=mode == "verify")
    rest = args[2:]
    if stale.verify and rest:
        stale = replace(stale, timeout_s=to_duration_s(d, rest.pop(0), "the timeout of verify"))
    if len(rest) > 2:
        raise d.arg_error(expected)
    if rest:
        stale = replace(stale, ttl_s=_stale_ttl(d, rest[0]))
    if len(rest) > 1:
        recheck_s = to_duration_s(d, rest[1], "the recheck of serve_stale", 0.0, MAX_RECHECK_S)
        stale = replace(stale, recheck_s=recheck_s)
    return stale


def _stale_ttl(d: Dispenser, text: str) -> int:
    ttl_s = to_duration_s(d, text, "the TTL of serve_stale", 0.0, float(2**32 - 1))
    if ttl_s != int(ttl_s):
        raise d.error(f"the TTL of serve_stale must be whole seconds, got {text}")
    return int(ttl_s)


def _policy(d: Dispenser, fields: dict[str, Any]) -> None:
    """Leaves the error that it is where no serve_stale stands before or after it."""
    if "policy" in fields:
        raise d.error("serve_stale_policy may be used only once")
    policy = one(d, "prefer_positive")
    if policy.lower() != "prefer_positive":
        raise d.error(f"{policy!r} is no policy of serve_stale; it is prefer_positive")
    fields["policy"] = d.error("serve_stale_policy needs serve_stale")


def _servfail(d: Dispenser) -> float:
    return to_duration_s(d, one(d, A_DURATION), "servfail", 0.0, MAX_SERVFAIL_S)


def _disable(d: Dispenser, fields: dict[str, Any]) -> None:
    """``disable success|denial [ZONES...]``; where it is repeated for a half, the last counts."""
    args = d.remaining_args()
    if not args or args[0] not in ("success", "denial"):
        raise d.error("disable takes success or denial, and optionally zones")
    fields[args[0]] = replace(fields[args[0]], disabled=to_zones(d, args[1:]) or (".",))


def _max_bytes(d: Dispenser, fields: dict[str, Any]) -> None:
    """``max_bytes SUCCESS [DENIAL]``; the second is as the first where it is not said."""
    args = d.remaining_args()
    if not 1 <= len(args) <= 2:
        raise d.arg_error("the bytes of success, and optionally those of denial")
    sizes = [_size(d, text) for text in args]
    fields["success"] = replace(fields["success"], max_bytes=sizes[0])
    fields["denial"] = replace(fields["denial"], max_bytes=sizes[-1])


def _size(d: Dispenser, text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise d.error(f"{text!r} is no size; one looks like 64Mi, 500k or 1000000")
    size = int(match[1]) * _UNITS[match[2]]
    if not MIN_RING_BYTES <= size <= MAX_RING_BYTES:
        raise d.error(f"max_bytes must be {MIN_RING_BYTES} to {MAX_RING_BYTES} bytes, got {text}")
    return size


OPTIONS: dict[str, Option] = {
    "success": _half("success"),
    "denial": _half("denial"),
    "max_bytes": _max_bytes,
    "prefetch": store("prefetch", _prefetch),
    "serve_stale": store("stale", _stale),
    "serve_stale_policy": _policy,
    "servfail": store("servfail_s", _servfail),
    "disable": _disable,
    "keepttl": store("keep_ttl", flag),
}

# Behind these CoreDNS takes the closing brace on their line.
ENDING = {"success": 3, "denial": 3, "disable": 1}
