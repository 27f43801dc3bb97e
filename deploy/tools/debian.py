"""Debian's packages, downloaded by apt and unpacked: none is installed, and no script of theirs runs.

apt gets a configuration of its own, so packages of another release or architecture than this machine's can be had.
Mirrors are those of this machine. apt checks signatures and hashes as usual.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What apt calls the parts of Debian, and the suite of a release in each.
SUITES = {"Debian": "{release}", "Debian-Security": "{release}-security"}


@dataclass(frozen=True)
class Package:
    """A package that was unpacked."""

    name: str
    version: str
    architecture: str
    # Fields of its control file, as scanners of images read them.
    control: str


def output(*command: str | Path) -> str:
    """What a command prints. Raises CalledProcessError."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def mirrors() -> dict[str, str]:
    """Where this machine has each part of Debian from, by apt's name of the part."""
    listed = output("apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages")
    found = dict(line.split(" ", 1) for line in listed.splitlines() if line.split(" ", 1)[0] in SUITES)
    if "Debian" not in found:
        raise SystemExit("image: apt knows no mirror of Debian: run apt-get update, on a Debian machine")
    return found


def options(folder: Path, release: str, architecture: str) -> list[str]:
    """Options that make apt work in folder, for a release and an architecture."""
    for name in ("preferences.d", "sources.list.d", "state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    sources = [
        f"deb [signed-by={KEYRING}] {uri} {SUITES[part].format(release=release)} main\n"
        for part, uri in mirrors().items()
    ]
    (folder / "sources.list").write_text("".join(sources))
    values = {
        "Dir::Etc": folder,
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "Acquire::Languages": "none",
        # Otherwise it warns that its own user cannot write here.
        "APT::Sandbox::User": "root",
    }
    return [word for name, value in values.items() for word in ("-o", f"{name}={value}")]


def unpack(names: tuple[str, ...], folder: Path, work: Path, release: str, architecture: str) -> list[Package]:
    """Download the newest version of each package of a release, and unpack all into folder.

    work keeps apt's lists, and what was downloaded.
    """
    apt = ["apt-get", "-qq", *options(work.absolute(), release, architecture)]
    subprocess.run([*apt, "update"], check=True)
    archives = work / "debs"
    archives.mkdir(exist_ok=True)
    uris = output(*apt, "--print-uris", "download", *names)
    # 'URI' FILE SIZE HASH
    files = [archives / line.split()[1] for line in uris.splitlines()]
    subprocess.run([*apt, "download", *names], check=True, cwd=archives, env={**os.environ, "LC_ALL": "C"})
    packages = []
    for file in files:
        subprocess.run(["dpkg-deb", "-x", file, folder], check=True)
        control = output("dpkg-deb", "-f", file)
        name, version, built_for = (
            output("dpkg-deb", "-f", file, field).strip() for field in ("Package", "Version", "Architecture")
        )
        packages.append(Package(name, version, built_for, control))
    return sorted(packages, key=lambda package: package.name)
