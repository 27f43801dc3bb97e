"""What a zone answers, by the words of the RFCs and without haste: a dictionary of names.

A Zone maps names (tuples of labels, from the name upwards, relative to the zone) to types to lists of rdata. rdata
of CNAME, DNAME and NS is a tuple of labels from the name upwards, with the zone's. TTLs are all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Labels = tuple[str, ...]
Zone = Mapping[Labels, Mapping[str, list[object]]]

MAX_ALIASES = 10
MAX_NAME_BYTES = 255


@dataclass
class Said:
    """A reply: records are (name, type, rdata); names are whole."""

    rcode: str = "NOERROR"
    aa: bool = True
    answer: list[tuple[Labels, str, object]] = field(default_factory=list)
    # "soa", "ns", or the cut whose name servers are given.
    authority: object = "ns"
    # What proves it: wildcards that were used, as (the name, its closest encloser).
    wildcards: list[tuple[Labels, Labels]] = field(default_factory=list)
    # The name, relative to the zone, that was looked for last.
    last: Labels = ()


def exists(zone: Zone, name: Labels) -> bool:
    """RFC 4592 section 2.2.2, RFC 8020: also a name that only has names below it."""
    return any(other[len(other) - len(name) :] == name for other in zone if len(other) >= len(name))


def above(name: Labels) -> list[Labels]:
    """The name and those above it, from the apex downwards."""
    return [name[at:] for at in range(len(name), -1, -1)]


def wire_bytes(name: Labels) -> int:
    return sum(len(label) + 1 for label in name) + 1


def answer(zone: Zone, origin: Labels, qname: Labels, qtype: str) -> Said:
    """RFC 1034 section 4.3.2. qname: whole, in the zone."""
    said = Said()
    name = qname
    seen = {qname}
    renamed: set[Labels] = set()
    for _ in range(MAX_ALIASES):
        relative = said.last = name[: len(name) - len(origin)]
        target = step(zone, origin, relative, qtype, said, renamed)
        if target is None:
            return said
        if target in seen:
            return said
        seen.add(target)
        if len(seen) > MAX_ALIASES:
            return said
        if target[len(target) - len(origin) :] != origin or len(target) < len(origin):
            # Nobody else is there to be asked.
            return said
        name = target
    return said


def step(
    zone: Zone, origin: Labels, name: Labels, qtype: str, said: Said, renamed: set[Labels]
) -> Labels | None:
    """One name. Returns what its alias leads to."""
    # Step 3b: a cut. RFC 6672 section 3.2: a DNAME above.
    for here in above(name):
        kinds = zone.get(here, {})
        if here and "NS" in kinds and not (here == name and qtype == "DS"):
            said.aa = bool(said.answer)
            said.authority = here
            return None
        if "DNAME" in kinds and here != name:
            if here not in renamed:
                renamed.add(here)
                said.answer.append((here + origin, "DNAME", kinds["DNAME"][0]))
            target = name[: len(name) - len(here)] + kinds["DNAME"][0]  # type: ignore[operator]
            if wire_bytes(target) > MAX_NAME_BYTES:
                said.rcode = "YXDOMAIN"
                said.authority = None
                return None
            said.answer.append((name + origin, "CNAME", target))
            return None if qtype in ("CNAME", "ANY") else target
    # Step 3a, 3c: the name itself, or the wildcard at its closest encloser.
    source = name
    if not exists(zone, name):
        encloser = next(here for here in reversed(above(name)) if exists(zone, here))
        source = ("*", *encloser)
        if not exists(zone, source):
            said.rcode = "NXDOMAIN"
            said.authority = "soa"
            return None
        said.wildcards.append((name, encloser))
    kinds = zone.get(source, {})
    if qtype == "ANY" and kinds:
        said.answer += [(name + origin, kind, rdata) for kind, rdatas in kinds.items() for rdata in rdatas]
        return None
    if qtype in kinds:
        # Each record once (RFC 2181 section 5): a DNAME that led here may be what is asked for.
        found = [(name + origin, qtype, rdata) for rdata in kinds[qtype]]
        said.answer += [one for one in found if one not in said.answer]
        return None
    if "CNAME" in kinds:
        said.answer.append((name + origin, "CNAME", kinds["CNAME"][0]))
        return kinds["CNAME"][0]  # type: ignore[return-value]
    said.authority = "soa"
    return None
