"""The numbers of sources in the zone store, and what the store says of them.

Rules:
- A source takes a pair of numbers of 16 bits, of which the first is even. All its records are stored under the
  first. The second is for a serial of its own, where a source has two.
- A source is *listed* when it has said all that there is. It is *known* when it is listed, or when what an earlier
  run has kept of it is served.
"""

from __future__ import annotations

from fastdns.memory._store import Store, Writer

NUMBERS = range(0, 65536, 2)


def first_of_pair(number: int) -> int:
    """The number under which records are stored. number: any of the pair."""
    return number & ~1


def is_listed(store: Store, number: int) -> bool:
    """Whether the store holds all that a source has."""
    return store.source(number)[0]


def is_known(store: Store, number: int) -> bool:
    """Whether the store holds all that a source has, or what was kept of it."""
    return is_listed(store, number) or bool(store.restored_at(number))


def mark_unknown(writer: Writer, number: int) -> None:
    """Say in the store that nothing is known under a pair of numbers. Records are not touched."""
    writer.set_source(number, synced=False, restored_at=0)
    writer.set_source(number + 1, synced=False)
