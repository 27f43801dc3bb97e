"""A folder that has the plugins of scripted.py as an installer leaves them."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).parent
ENTRY_POINTS = "[fastdns.plugins]\nouter = fastdns_scripted:outer\ninner = fastdns_scripted:inner\n"


def install(folder: Path) -> Path:
    """For PYTHONPATH."""
    (folder / "fastdns_scripted.py").write_text((HERE / "scripted.py").read_text())
    info = folder / "fastdns_scripted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fastdns-scripted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


def path_to(folder: Path) -> dict[str, str]:
    """The environment of a server that finds them, and what these tests run with."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))}
