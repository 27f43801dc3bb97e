"""Objects of one resource that cannot be read: counted, logged once, and logged when they can be read again."""

from __future__ import annotations

import logging

from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.api.metrics import Metrics

log = logging.getLogger("plugin/kubernetes")

# The limit on objects that are remembered. Further ones are only counted.
MAX_SAID = 100


class SkippedObjects:
    """The objects that are skipped now, by their keys in the digest."""

    def __init__(self, resource: str, name: str, metrics: Metrics) -> None:
        self.present: set[int] = set()
        self._resource = resource
        self._name = name
        self._metrics = metrics

    def skip(self, key: int, where: str, error: Exception) -> None:
        """Count and log an object that cannot be read. where: its name."""
        self._metrics.left_out(self._resource, "object")
        if key in self.present or len(self.present) >= MAX_SAID:
            return
        self.present.add(key)
        log.error(
            "%s", SourceError(f"{self._name} {where} is skipped: {error}; expected an object as the API defines it")
        )
        if len(self.present) == MAX_SAID:
            log.error("%d of %s are skipped; further ones are only counted", MAX_SAID, self._name)

    def right(self, key: int, where: str) -> None:
        """A skipped object can be read again."""
        self.gone(key)
        log.info("%s %s can be read now", self._name, where)

    def gone(self, key: int) -> None:
        """A skipped object was deleted."""
        self.present.discard(key)
