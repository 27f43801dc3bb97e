"""Change sets of a zone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Step(NamedTuple):
    """One thing that a change set does to a name. rrtype, rdata: None where all of them are meant."""

    adds: bool
    rrtype: int | None = None
    ttl_s: int = 0
    rdata: bytes | None = None


class Change:
    """A change set of one zone, for ZoneWriter.apply: what is removed and added, in this order.

    zone, owner: names in wire form, without compression; owner at or below the zone, in any case.
    """

    def __init__(self, zone: bytes) -> None:
        self.zone = zone.lower()
        # By owner, in the order in which they are to be done.
        self.steps: dict[bytes, list[Step]] = {}

    def add(self, owner: bytes, rrtype: int, ttl_s: int, rdata: bytes) -> None:
        """Add an RR. The TTL becomes that of its RRset."""
        self.steps.setdefault(owner.lower(), []).append(Step(True, rrtype, ttl_s, rdata))

    def remove(self, owner: bytes, rrtype: int | None = None, rdata: bytes | None = None) -> None:
        """Remove an RR; without rdata an RRset, without a type all RRsets of the name. It need not be there."""
        self.steps.setdefault(owner.lower(), []).append(Step(False, rrtype, 0, rdata))

    def applied(
        self, owner: bytes, rrsets: Mapping[int, tuple[int, list[bytes]]]
    ) -> list[tuple[int, int, bytes]]:
        """(type, TTL, rdata) of what a name has after the change; rrsets: type to (TTL, rdata) before."""
        ttls = {rrtype: ttl_s for rrtype, (ttl_s, _) in rrsets.items()}
        now = {rrtype: dict.fromkeys(rrs) for rrtype, (_, rrs) in rrsets.items()}
        for step in self.steps[owner]:
            if step.rrtype is None:
                now.clear()
            elif step.rdata is None:
                now.pop(step.rrtype, None)
            elif step.adds:
                ttls[step.rrtype] = step.ttl_s
                now.setdefault(step.rrtype, {})[step.rdata] = None
            elif step.rrtype in now:
                now[step.rrtype].pop(step.rdata, None)
        return [(rrtype, ttls[rrtype], rdata) for rrtype, rrs in now.items() for rdata in rrs]
