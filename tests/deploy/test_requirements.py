"""The lock files of the image hold what pyproject.toml asks for, each with hashes, and nothing by another way."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "requirements"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
# As the Makefile's target lock has them.
EXTRAS = {
    "image": ("dnssec", "quic", "scripts"),
    "image-all": (
        "acme", "aws_secretsmanager", "azure", "clouddns", "dnssec", "kubernetes", "quic", "route53", "scripts",
    ),
}  # fmt: skip
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass
class Pinned:
    """A line of a lock file."""

    requirement: Requirement
    hashes: list[str] = field(default_factory=list)

    @property
    def version(self) -> str:
        (one,) = self.requirement.specifier
        assert one.operator == "=="
        return one.version


def read_lock(path: Path) -> dict[str, Pinned]:
    """What a lock file pins, by name."""
    found: dict[str, Pinned] = {}
    for line in path.read_text().replace("\\\n", " ").splitlines():
        if not line or line.startswith("#"):
            continue
        text, *hashes = re.split(r"\s+(?=--hash)", line.strip())
        assert all(HASH.fullmatch(each.strip()) for each in hashes), line
        requirement = Requirement(text)
        found[canonicalize_name(requirement.name)] = Pinned(requirement, hashes)
    return found


def asked_for(extras: tuple[str, ...]) -> list[Requirement]:
    project = PROJECT["project"]
    optional = (text for extra in extras for text in project["optional-dependencies"][extra])
    return [Requirement(text) for text in (*project["dependencies"], *optional)]


@pytest.mark.parametrize("name", EXTRAS)
def test_a_lock_fits_pyproject(name: str) -> None:
    lock = read_lock(FOLDER / f"{name}.txt")
    for requirement in asked_for(EXTRAS[name]):
        pinned = lock[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pinned.version), f"{requirement}: run make lock"


def test_the_build_lock_fits_pyproject() -> None:
    lock = read_lock(FOLDER / "build.txt")
    requirements = [Requirement(text) for text in PROJECT["build-system"]["requires"]]
    assert {canonicalize_name(one.name) for one in requirements} <= lock.keys()
    assert all(one.specifier.contains(lock[canonicalize_name(one.name)].version) for one in requirements)


@pytest.mark.parametrize("name", [*EXTRAS, "build"])
def test_each_pin_has_hashes(name: str) -> None:
    """Without one, pip would refuse the whole file."""
    assert [one for one, pinned in read_lock(FOLDER / f"{name}.txt").items() if not pinned.hashes] == []


def test_the_small_lock_is_part_of_the_large_one() -> None:
    small, large = (read_lock(FOLDER / f"{name}.txt") for name in ("image", "image-all"))
    assert {name: pinned.version for name, pinned in small.items()}.items() <= {
        name: pinned.version for name, pinned in large.items()
    }.items()


def test_the_image_lacks_the_kubernetes_package() -> None:
    """It is 126 MiB with what it needs, and used for kubeconfigs with more than plain data only."""
    lock = read_lock(FOLDER / "image.txt")
    assert not lock.keys() & {"kubernetes", "pydantic", "aiohttp", "botocore", "azure-core", "google-auth"}
    assert not any(Requirement(text).name == "kubernetes" for text in PROJECT["project"]["dependencies"])


def test_the_makefile_locks_these_extras() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for name, extras in EXTRAS.items():
        wanted = " ".join(f"--extra {extra}" for extra in extras)
        assert f"pyproject.toml {wanted} -o deploy/requirements/{name}.txt" in makefile
