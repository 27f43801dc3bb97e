"""Whether the kernel has just ended a process for want of memory: SIGKILL does not say who sent it.

The kernel counts such kills for each control group (version 2: ``oom_kill`` in memory.events, version 1: in
memory.oom_control) and for the whole host (in /proc/vmstat, since Linux 4.13).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

OWN_GROUPS = Path("/proc/self/cgroup")
MOUNTED = Path("/sys/fs/cgroup")
HOST = Path("/proc/vmstat")
# Two children that end together are not reaped together.
RECENT_S = 1.0


def candidates(groups: str, mounted: Path) -> list[Path]:
    """Files that count for the memory group of a process with these lines of /proc/PID/cgroup, best first.

    In a container the path may be the host's, and what is mounted its own group.
    """
    found = []
    for line in groups.splitlines():
        _, colon, rest = line.partition(":")
        controllers, second, path = rest.partition(":")
        if not (colon and second):
            continue
        folders = [path.strip("/"), ""]
        if not controllers:
            found += [mounted / folder / "memory.events" for folder in folders]
        elif "memory" in controllers.split(","):
            found += [mounted / "memory" / folder / "memory.oom_control" for folder in folders]
    return found


class OomKills:
    """Watches the counter of this process's group, or the host's where the group has none."""

    def __init__(self, groups: Path = OWN_GROUPS, mounted: Path = MOUNTED, host: Path = HOST) -> None:
        paths = []
        with contextlib.suppress(OSError, ValueError):
            paths = candidates(groups.read_text(), mounted)
        self.path = next((path for path in paths if self.read(path) is not None), host)
        self.of_host = self.path == host
        self.count = self.read(self.path) or 0
        self.grown_at = float("-inf")

    @staticmethod
    def read(path: Path) -> int | None:
        """The number after ``oom_kill``, or None where there is none."""
        with contextlib.suppress(OSError, ValueError):
            for line in path.read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
        return None

    def look(self, now: float) -> str:
        """Why a child that SIGKILL has just ended may have had to go, for the log; "" where not for memory.

        now: of CLOCK_MONOTONIC, in seconds.
        """
        count = self.read(self.path)
        if count is not None and count > self.count:
            self.count = count
            self.grown_at = now
        if now - self.grown_at > RECENT_S:
            return ""
        if self.of_host:
            return "the host is out of memory"
        return "out of memory, see the limit of the container or control group"
