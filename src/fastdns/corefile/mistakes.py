"""The mistakes of a Corefile: the first ends reading, or all are noted and reading goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from fastdns.errors import FastdnsError

# A Corefile of nothing but mistakes does not fill a terminal, or memory.
MAX_FOUND = 100


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
