"""The image's root file system, if one is there (make image): run as the Deployment's container."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = Path(os.environ.get("FASTDNS_IMAGE") or ROOT / "build" / "image")

pytestmark = [
    pytest.mark.skipif(not (IMAGE / "coredns").exists(), reason="make image makes it"),
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("runc") is None, reason="needs root and runc"),
]


def test_it_runs_with_the_rights_of_the_manifest_within_its_memory() -> None:
    """How fast it starts is measured on a machine that does nothing else (deploy/try-image), and not here."""
    command = [ROOT / "deploy" / "try-image", IMAGE, "--rounds", "1", "--services", "1000", "--start", "30"]
    ended = subprocess.run(
        command, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, timeout=110
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = {line[:44].strip(): line[44:] for line in ended.stdout.splitlines()}
    assert said["exec of /bin/sh"] == "refused" and said["root file system"] == "ro"
    assert said["queries answered"] == "20000 of 20000"
