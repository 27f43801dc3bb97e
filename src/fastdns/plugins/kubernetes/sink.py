"""What a source of a cluster's objects and the writer of its records agree on.

A source (the API server, manifests on disk) calls a Sink: for each resource ``begin``, one ``upsert`` an object,
``end``; afterwards ``upsert`` and ``delete`` as objects change, and ``flush`` after each batch. A second listing
of the same resource is the same again: ``end`` drops what it did not have.
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
