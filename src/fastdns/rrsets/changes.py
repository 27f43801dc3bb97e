"""Change sets of a zone."""

from __future__ import annotations

from collections.abc import Mapping

# "add" or "remove", type, TTL, rdata
Step = tuple[str, int | None, int, bytes | None]


class Change:
    """A change set of one zone, for ZoneWriter.apply: what is removed and added, in this order.

    zone, owner: names in wire form, without compression; owner at or below the zone, in any case.
    """

    def __init__(self, zone: bytes) -> None:
        self.zone = zone.lower()
        # By owner, in the order in which they are to be done.
        self.steps: dict[bytes, list[Step]] = {}

    def _note(self, owner: bytes, step: Step) -> None:
        self.steps.setdefault(owner.lower(), []).append(step)

    def add(self, owner: bytes, rrtype: int, ttl_s: int, rdata: bytes) -> None:
        """Add an RR. The TTL becomes that of its RRset."""
        self._note(owner, ("add", rrtype, ttl_s, rdata))

    def remove(self, owner: bytes, rrtype: int | None = None, rdata: bytes | None = None) -> None:
        """Remove an RR; without rdata an RRset, without a type all RRsets of the name. It need not be there."""
        self._note(owner, ("remove", rrtype, 0, rdata))

    def applied(self, owner: bytes, rrsets: Mapping[int, tuple[int, list[bytes]]]) -> list[tuple[int, int, bytes]]:
        """(type, TTL, rdata) of what a name has after the change; rrsets: type to (TTL, rdata) before."""
        now = {rrtype: [ttl_s, dict.fromkeys(rrs)] for rrtype, (ttl_s, rrs) in rrsets.items()}
        for what, rrtype, ttl_s, rdata in self.steps[owner]:
            if what == "add":
                one = now.setdefault(rrtype, [ttl_s, {}])
                one[0] = ttl_s
                one[1][rdata] = None
            elif rrtype is None:
                now.clear()
            elif rdata is None:
                now.pop(rrtype, None)
            elif rrtype in now:
                now[rrtype][1].pop(rdata, None)
        return [(rrtype, ttl_s, rdata) for rrtype, (ttl_s, rrs) in now.items() for rdata in rrs]
