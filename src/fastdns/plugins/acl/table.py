"""The policies of a rule as one sorted table of addresses: who asks is found in few steps, however many there are.

The addresses of a family are cut into ranges in which the same policies hold. A range has a decision: an action for
each type that a policy names, and one for all other types.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fastdns.plugins.acl.config import ACTIONS, Network, Policy

# No policy holds.
NONE = 0
NUMBERS = {action: number for number, action in enumerate(ACTIONS, 1)}
TYPE_NONE = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The number of the action for types, and for all others."""

    typed: tuple[tuple[int, int], ...]
    otherwise: int


@dataclass(frozen=True, slots=True)
class Table:
    """starts: the first address of each range, ascending from 0. decisions: one for each."""

    starts: tuple[int, ...]
    decisions: tuple[Decision, ...]


def table(policies: Sequence[Policy], address_bytes: int) -> Table:
    """The table of one family: 4 or 16 address bytes."""
    begins: dict[int, list[int]] = defaultdict(list)
    ends: dict[int, list[int]] = defaultdict(list)
    for number, policy in enumerate(policies):
        for first, behind in ranges(policy.networks, address_bytes):
            begins[first].append(number)
            ends[behind].append(number)
    starts: list[int] = []
    decisions: list[Decision] = []
    holding: list[int] = []
    for start in sorted({0, *begins, *ends} - {1 << 8 * address_bytes}):
        for number in ends.get(start, ()):
            holding.remove(number)
        for number in begins.get(start, ()):
            bisect.insort(holding, number)
        decision = decide(policies[number] for number in holding)
        if not decisions or decisions[-1] != decision:
            starts.append(start)
            decisions.append(decision)
    return Table(tuple(starts), tuple(decisions))


def ranges(networks: Iterable[Network] | None, address_bytes: int) -> Iterable[tuple[int, int]]:
    """Networks of one family as ranges that do not touch: the first address, and the one behind the last."""
    bits = 8 * address_bytes
    if networks is None:
        return [(0, 1 << bits)]
    found: list[tuple[int, int]] = []
    firsts = sorted(
        (int.from_bytes(packed, "big"), 1 << (bits - length))
        for packed, length in networks
        if len(packed) == address_bytes
    )
    for first, size in firsts:
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], first + size)
        else:
            found.append((first, first + size))
    return found


def decide(policies: Iterable[Policy]) -> Decision:
    """What policies that hold in the same range come to: the first one for a type counts."""
    typed: dict[int, int] = {}
    otherwise = NONE
    for policy in policies:
        # CoreDNS: type 0, None, stands for all types.
        if policy.qtypes is None or TYPE_NONE in policy.qtypes:
            otherwise = NUMBERS[policy.action]
            break
        for qtype in policy.qtypes:
            typed.setdefault(qtype, NUMBERS[policy.action])
    told_apart = sorted((qtype, action) for qtype, action in typed.items() if action != otherwise)
    return Decision(tuple(told_apart), otherwise)
