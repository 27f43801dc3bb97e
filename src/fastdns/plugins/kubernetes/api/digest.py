"""The last seen version of every object of one resource, in 32 to 64 bytes each. It shows lost events.

A table of (key, version) pairs: key is a 64-bit hash of namespace and name, version the resourceVersion as a
number, or its hash if it is not a number. Python hashes strings with a secret of the process, so nobody can choose
names that collide; an accidental collision among 100,000 objects has odds of 1 in 3 billion.
Open addressing with linear probing; a removed entry is filled by moving later ones back (Knuth, volume 3,
6.4 algorithm R), so that there are no tombstones.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

MASK_64 = (1 << 64) - 1
SMALLEST = 64


def key_of(namespace: str, name: str) -> int:
    """Never 0, which marks an empty slot."""
    return (hash((namespace, name)) & MASK_64) or 1


def version_of(resource_version: str) -> int:
    """The number that resource_version is (KEP-5504: comparable decimals), else a hash."""
    if resource_version.isascii() and resource_version.isdecimal():
        return int(resource_version) & MASK_64
    return hash(resource_version) & MASK_64


class Digest:
    """A mapping of 64-bit key to 64-bit version."""

    __slots__ = ("_keys", "_mask", "_used", "_versions")

    def __init__(self) -> None:
        self._resize(SMALLEST)

    def __len__(self) -> int:
        return self._used

    def get(self, key: int) -> int | None:
        """The version of key, or None."""
        at = self._find(key)
        return self._versions[at] if self._keys[at] else None

    def set(self, key: int, version: int) -> None:
        """Adds or replaces key."""
        at = self._find(key)
        if not self._keys[at]:
            if (self._used + 1) * 2 > self._mask + 1:
                self._resize((self._mask + 1) * 2)
                at = self._find(key)
            self._used += 1
            self._keys[at] = key
        self._versions[at] = version

    def discard(self, key: int) -> None:
        """Remove key, if it exists."""
        keys, versions, mask = self._keys, self._versions, self._mask
        hole = self._find(key)
        if not keys[hole]:
            return
        self._used -= 1
        at = hole
        while True:
            keys[hole] = 0
            while True:
                at = (at + 1) & mask
                if not keys[at]:
                    return
                home = keys[at] & mask
                # An entry whose home lies cyclically in (hole, at] is still found at its place.
                if not ((hole < home <= at) if hole < at else (hole < home or home <= at)):
                    break
            keys[hole], versions[hole] = keys[at], versions[at]
            hole = at

    def keys(self) -> list[int]:
        """A copy of all keys, which can be iterated while the table changes."""
        return [key for key in self._keys if key]

    def items(self) -> Iterator[tuple[int, int]]:
        """Every key with its version."""
        return ((key, version) for key, version in zip(self._keys, self._versions, strict=True) if key)

    def _find(self, key: int) -> int:
        keys, mask = self._keys, self._mask
        at = key & mask
        while (held := keys[at]) and held != key:
            at = (at + 1) & mask
        return at

    def _resize(self, slots: int) -> None:
        old = list(self.items()) if slots > SMALLEST else []
        self._keys = array("Q", bytes(8 * slots))
        self._versions = array("Q", bytes(8 * slots))
        self._mask = slots - 1
        self._used = len(old)
        for key, version in old:
            at = self._find(key)
            self._keys[at] = key
            self._versions[at] = version
