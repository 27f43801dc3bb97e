"""What the child that transfers zones is asked, and how it answers: both sides know it.

It is given JSON: the process that it ends with, and a Job. It writes frames as zonefiles/frames.py has them: rows
of RRs (R), and at the end one with what became of the transfer (F, JSON: a Transferred).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Job:
    """A zone to transfer. serial: of the version that is there, which only a newer one replaces; None: there is
    none. catalog: whether it is a catalog zone, whose members are wanted."""

    zone: str
    primaries: list[tuple[str, int]]
    serial: int | None = None
    catalog: bool = False


@dataclass(slots=True)
class Transferred:
    """What became of it. error: why no primary has given the zone. unchanged: no primary has a newer version.

    members: of a catalog: (id, zone, the catalog that it changes to or ""). failed: what each primary said.
    """

    error: str = ""
    unchanged: bool = False
    primary: str = ""
    serial: int = 0
    refresh_s: int = 0
    retry_s: int = 0
    expire_s: int = 0
    members: list[tuple[str, str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
