"""The control groups of this process, version 1 and 2, as files: see cgroups(7), proc(5).

/proc/self/cgroup says which group it is. /proc/self/mountinfo says where the hierarchy is mounted, from which
group. In a cgroup namespace both begin at the container's own group. Outside one, the path is the host's.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path


def unescaped(text: str) -> str:
    """A path of mountinfo: blanks and the like are octal there."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def below(mounted: Path, group: str, mounted_group: str) -> list[Path]:
    """The folders of a group and of those it is in, as far as they are mounted; the group's own first."""
    prefix = mounted_group.rstrip("/")
    inner = group[len(prefix) :] if (group + "/").startswith(prefix + "/") else ""
    parts = [part for part in inner.split("/") if part]
    if ".." in parts:
        # Outside of its namespace's root: what is mounted is all that can be seen.
        parts = []
    return [mounted.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def group_folders(controller: str, root: Path = Path("/")) -> list[Path]:
    """Where the limits of a controller on this process are, the tightest not necessarily first; [] for none.

    root: another root of the file system, for tests.
    """
    groups: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            if line.count(":") >= 2:
                _, controllers, path = line.split(":", 2)
                groups.update(dict.fromkeys(controllers.split(","), path))
    folders: list[Path] = []
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/mountinfo").read_text().splitlines():
            mount, _, system = line.partition(" - ")
            fields, kinds = mount.split(), system.split()
            if len(fields) < 5 or len(kinds) < 3:
                continue
            # The line of version 2 names no controller.
            name = "" if kinds[0] == "cgroup2" else controller
            if name in groups and (kinds[0] == "cgroup2" or (
                kinds[0] == "cgroup" and controller in kinds[2].split(",")
            )):  # fmt: skip
                mounted = root / unescaped(fields[4]).lstrip("/")
                folders += below(mounted, groups[name], unescaped(fields[3]))
    return list(dict.fromkeys(folders))
