"""Lines that the server skips in files that other programs write: each is logged once, and counted."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from fastdns.counted import counted

# Lines logged for one file at a time: a file of another kind must not fill the log.
MAX_SAID = 10


class SkippedLines:
    """The bad lines of each file. Use from one thread at a time."""

    def __init__(self) -> None:
        # By file: lines skipped since the start; a line counts when it is first seen.
        self.counts: dict[str, int] = {}
        self.present: dict[str, frozenset[str]] = {}

    def note(self, log: logging.Logger, file: str, problems: Iterable[str]) -> int:
        """Log and count the problems that the file did not have when it was last read. Returns their number.

        problems: all that it has now. Each names its line, and says what happens to it.
        """
        problems = tuple(dict.fromkeys(problems))
        known = self.present.get(file, frozenset())
        self.present[file] = frozenset(problems)
        new = [problem for problem in problems if problem not in known]
        if new:
            self.counts[file] = self.counts.get(file, 0) + len(new)
        for problem in new[:MAX_SAID]:
            log.warning("%s", problem)
        if len(new) > MAX_SAID:
            log.warning("%s: %s skipped", file, counted(len(new) - MAX_SAID, "more line", ("is", "are")))
        return len(new)
