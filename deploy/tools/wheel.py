"""The wheel of fastdns for the image's Python, built of this checkout: for this machine, or cross-compiled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.tools import debian

ROOT = Path(__file__).parents[2]
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
# Names of Debian, of the kernel, of compilers.
CROSS = {"amd64": ("x86_64", "x86_64-linux-gnu"), "arm64": ("aarch64", "aarch64-linux-gnu")}


def find_python(version: str) -> Path:
    """An interpreter of that version: this one, one in PATH, or pyenv's. SystemExit if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    places = [sys.executable, shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python3"))]
    for place in map(str, filter(None, places)):
        said = subprocess.run([place, "-V"], check=False, capture_output=True, text=True).stdout
        if said.startswith(f"Python {version}."):
            return Path(place)
    raise SystemExit(f"image: Python {version} with its headers is needed: it compiles what the image runs")


def environment_of(python: Path, work: Path) -> Path:
    """The interpreter of a virtual environment with what builds a wheel, whose hashes pip checks."""
    made = work / "venv" / "bin" / "python"
    if not made.exists():
        subprocess.run([python, "-m", "venv", work / "venv"], check=True)
    lock = ROOT / "deploy" / "requirements" / "build.txt"
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([made, "-m", "pip", *quiet, "install", "--require-hashes", "-r", lock], check=True)
    return made


def cross(work: Path, python: str, architecture: str, release: str) -> dict[str, str]:
    """The environment in which a wheel for another architecture is built: Debian's headers and its settings."""
    machine, triplet = CROSS[architecture]
    headers = work / f"headers-{architecture}"
    names = (f"libpython{python}-dev", f"libpython{python}-minimal", f"libpython{python}-stdlib")
    shutil.rmtree(headers, ignore_errors=True)
    headers.mkdir()
    debian.unpack(names, headers, work / f"apt-{architecture}", release, architecture)
    configuration = work / f"configuration-{architecture}"
    configuration.mkdir(exist_ok=True)
    name = f"_sysconfigdata__{triplet}"
    (found,) = (headers / "usr/lib" / f"python{python}").rglob(f"{name}.py")
    shutil.copy(found, configuration)
    include = headers / "usr/include"
    return {
        "CC": f"{triplet}-gcc",
        "LDSHARED": f"{triplet}-gcc -shared",
        "CFLAGS": f"-I{include / f'python{python}'} -I{include}",
        "PYTHONPATH": str(configuration),
        "_PYTHON_SYSCONFIGDATA_NAME": name,
        "_PYTHON_HOST_PLATFORM": f"linux-{machine}",
    }


def build_wheel(python: Path, work: Path, version: str, architecture: str, release: str) -> Path:
    """Build the source distribution of this checkout, and of it a wheel; returns the wheel."""
    folder = work / f"wheel-{architecture}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    here = debian.output("dpkg", "--print-architecture").strip()
    more = {} if architecture == here else cross(work, version, architecture, release)
    printed = subprocess.run(
        [python, "-c", BUILD, folder], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ).stdout
    sdist = folder / printed.splitlines()[-1]
    pip: list[str | Path] = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel", "--no-deps"]
    command = [*pip, "--no-build-isolation", "--wheel-dir", folder, sdist]
    subprocess.run(command, check=True, env={**os.environ, **more})
    (wheel,) = folder.glob("*.whl")
    return wheel
