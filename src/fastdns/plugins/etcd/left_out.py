"""Keys that cannot be served: each is said once, and counted."""

from __future__ import annotations

import logging

from fastdns.counted import counted
from fastdns.plugins.api import Recorder
from fastdns.plugins.etcd.metrics import LEFT_OUT

log = logging.getLogger("plugin/etcd")

# Keys that are remembered as said. Further ones are counted, and not said.
MAX_KNOWN = 1000
# What one listing or one message of a watch may add to the log.
MAX_SAID = 10


class LeftOut:
    """The bad keys of one source, by key: what is wrong."""

    def __init__(self, recorder: Recorder, path: str) -> None:
        self.recorder = recorder
        self.path = path
        self.known: dict[bytes, str] = {}
        self.said = 0
        self.unsaid = 0

    def note(self, key: bytes, why: str, text: str) -> None:
        """A key is left out. why: as metrics label it. text: what is wrong, and what happens to the key."""
        if self.known.get(key) == text:
            return
        self.recorder.count(LEFT_OUT, (self.path, why))
        if key in self.known or len(self.known) < MAX_KNOWN:
            self.known[key] = text
            if self.said < MAX_SAID:
                self.said += 1
                log.warning("%s: %s", key[:200].decode(errors="backslashreplace"), text)
                return
        self.unsaid += 1

    def forget(self, key: bytes) -> None:
        """A key is as it should be, or gone."""
        self.known.pop(key, None)

    def finish(self) -> None:
        """A listing, or a message, has been read."""
        if self.unsaid:
            log.warning("%s: %s left out", self.path or "/", counted(self.unsaid, "more key", ("is", "are")))
        self.said = self.unsaid = 0
