"""What is left out of objects: counted each time, and said once for an object."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fastdns.plugins.kubernetes.sink import Resource

log = logging.getLogger("plugin/kubernetes")

# Objects that are remembered; further ones are counted only.
MAX_SAID = 1024


class LeftOut:
    """on_left_out(resource, what) gets each time; what: object, addresses, names, ports or zones."""

    def __init__(self, on_left_out: Callable[[str, str], None] | None) -> None:
        self.on_left_out = on_left_out
        self.said: set[tuple[int, str, str, str]] = set()

    def note(self, resource: Resource, meta: Any, what: str, why: str) -> None:
        """A part of an object is not served. meta: the object's metadata."""
        if self.on_left_out is not None:
            self.on_left_out(resource.name.lower(), what)
        one = (int(resource), meta.namespace, meta.name, what)
        if one in self.said or len(self.said) >= MAX_SAID:
            return
        self.said.add(one)
        log.warning("%s %s/%s: %s", resource.name.lower(), meta.namespace, meta.name, why)
        if len(self.said) == MAX_SAID:
            log.warning("%d objects have parts that are not served; further objects are only counted", MAX_SAID)
