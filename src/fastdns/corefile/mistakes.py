"""The mistakes of a Corefile: the first ends reading, or all are noted and reading goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdns.errors import FastdnsError, PluginError

if TYPE_CHECKING:
    from fastdns.corefile.model import ServerBlock

# A Corefile of nothing but mistakes does not fill a terminal, or memory.
MAX_FOUND = 100


@contextlib.contextmanager
def said_of(name: str, block: ServerBlock) -> Iterator[None]:
    """Begin errors as CoreDNS does, and with the place of the plugin's directive."""
    try:
        yield
    except FastdnsError as error:
        file, line = block.places[name]
        raise PluginError(str(error), file, line, name) from None


class Mistakes:
    """What is wrong so far, in the order of reading. keep: note what is raised inside of ``noted``, and go on."""

    def __init__(self, *, keep: bool = False) -> None:
        self.keep = keep
        self.found: list[FastdnsError] = []
        self.left_out = 0

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """A part after which reading can go on, whatever is wrong with it."""
        try:
            yield
        except FastdnsError as error:
            if not self.keep:
                raise
            if str(error) in map(str, self.found):
                return
            if len(self.found) < MAX_FOUND:
                self.found.append(error)
            else:
                self.left_out += 1
