"""The interface between a source of a cluster's objects (the API server, manifests) and the writer of its records.

For each resource a source calls ``begin``, ``upsert`` for each object, and ``end``. Then it calls ``upsert`` and
``delete`` as objects change, and ``flush`` after each batch. A source may list a resource again in the same way:
``end`` removes the objects that the listing did not have.
"""

from __future__ import annotations

import enum
from typing import Any, Protocol


class Resource(enum.IntEnum):
    """The kinds of objects that answers are made of."""

    SERVICE = 0
    SLICE = 1
    NAMESPACE = 2
    POD = 3
    IMPORT = 4
    IMPORT_SLICE = 5


class Sink(Protocol):
    """Takes a cluster's objects (see fastdns.plugins.kubernetes.objects), one resource at a time."""

    def begin(self, resource: Resource) -> None: ...

    def upsert(self, resource: Resource, obj: Any) -> None: ...

    def delete(self, resource: Resource, obj: Any) -> None: ...

    def end(self, resource: Resource) -> None: ...

    def flush(self) -> None: ...
