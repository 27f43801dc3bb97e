"""The differences that a primary has sent (IXFR), as a draft of the names that they change.

They fit if each record that they remove is there, and none that they add. They do not fit if the two servers
disagree on the version that they begin with: then the whole zone is transferred. So it is where something of the
zone is left out here, and where differences are large: a change of each name costs more than the whole zone.
"""

from __future__ import annotations

import asyncio

from fastdns.errors import SourceError
from fastdns.plugins.secondary._incoming import Incoming
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.zonefiles._sifting import omit_conflicts

# Names that are looked at before other work of the event loop has its turn: about 1 ms.
NAMES_AT_A_TIME = 100

SOA, RRSIG, NSEC3, NSEC3PARAM = 6, 46, 50, 51
NSEC3_TYPE = NSEC3.to_bytes(2, "big")
MAX_LABEL_SALT_BYTES = 40

# Whether it is added, type, TTL, rdata.
Step = tuple[bool, int, int, bytes]
RRsets = dict[int, tuple[int, list[bytes]]]


async def draft_of_changes(store: ZoneWriter, zone: bytes, incoming: Incoming) -> Draft:
    """For publish(whole=False). Raises SourceError where the differences do not fit."""
    if incoming.is_partial:
        raise SourceError("the differences have records that are not served")
    steps = steps_by_name(store, zone, incoming)
    draft = Draft(zone)
    for number, (owner, wanted) in enumerate(steps.items()):
        if number % NAMES_AT_A_TIME == 0:
            await asyncio.sleep(0)
        left = applied(store.rrsets(zone, owner.removesuffix(zone)), wanted)
        if owner == zone:
            left[SOA] = incoming.soa_ttl_s, {incoming.soa: None}
        if not any(rrs for _, rrs in left.values()):
            draft.add_gone(owner)
        for rrtype, (ttl_s, rrs) in left.items():
            for rdata in rrs:
                draft.add(owner, rrtype, ttl_s, rdata)
    if omit_conflicts(draft, 0)[0] or draft.left_out:
        raise SourceError("the differences lead to records that are not served")
    return draft


def steps_by_name(store: ZoneWriter, zone: bytes, incoming: Incoming) -> dict[bytes, list[Step]]:
    """What happens to each name. Signatures of NSEC3 records are on the shelf of these."""
    steps: dict[bytes, list[Step]] = {zone: []}
    shelved: dict[bytes, set[bytes]] = {}
    for _, owner, rrtype, _, _ in incoming.changes:
        if rrtype == NSEC3:
            shelved.setdefault(owner[: owner[0] + 1], set()).add(owner)
    shelves = shelves_of(store.rrsets(zone, b""))
    for added, owner, rrtype, ttl_s, rdata in incoming.changes:
        if rrtype == RRSIG and rdata[:2] == NSEC3_TYPE:
            label = owner[: owner[0] + 1]
            places = shelved.get(label) or {
                label + shelf + zone for shelf in shelves if store.rrsets(zone, label + shelf)
            }
            if len(places) != 1:
                raise SourceError("the differences sign an NSEC3 record that is not known")
            (owner,) = places
        steps.setdefault(owner, []).append((added, rrtype, ttl_s, rdata))
    return steps


def shelves_of(apex: RRsets) -> list[bytes]:
    """Where the NSEC3 records of a zone are: a label each (authoritative/_denial.pxd)."""
    labels = [
        (b"\0" + rdata[2:4] + rdata[5 : 5 + rdata[4]][:MAX_LABEL_SALT_BYTES]).lower()
        for rdata in apex.get(NSEC3PARAM, (0, []))[1]
    ]
    return [bytes((len(label),)) + label for label in labels]


def applied(held: RRsets, steps: list[Step]) -> dict[int, tuple[int, dict[bytes, None]]]:
    """What a name has after its steps: type to (TTL, rdata). Raises SourceError where a step does not fit."""
    left = {rrtype: (ttl_s, dict.fromkeys(rrs)) for rrtype, (ttl_s, rrs) in held.items()}
    for added, rrtype, ttl_s, rdata in steps:
        before, rrs = left.get(rrtype, (ttl_s, {}))
        if (rdata in rrs) == added:
            raise SourceError("the differences begin with another version than this one")
        if added:
            rrs[rdata] = None
        else:
            del rrs[rdata]
        left[rrtype] = ttl_s if added else before, rrs
    return left
