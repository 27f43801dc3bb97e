"""Builds the source distribution, and of that a wheel; installs each where nothing else is, and asks it.

``make package`` runs it, and leaves both in dist/. Neither this checkout nor its build takes part in what is asked.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASKING = ROOT / "deploy" / "tools" / "asking.py"


def run(*words: str | Path, cwd: Path | None = None, environ: dict[str, str] | None = None) -> str:
    """Run a command to its end; returns what it prints."""
    ended = subprocess.run(
        list(map(str, words)), cwd=cwd, env={**os.environ, **(environ or {})}, stdout=subprocess.PIPE, text=True,
        timeout=600,
    )  # fmt: skip
    if ended.returncode:
        raise SystemExit(f"package: {' '.join(map(str, words))}: exit code {ended.returncode}\n{ended.stdout}")
    return ended.stdout


def build_sdist(folder: Path) -> Path:
    """The source distribution of this checkout, by the backend that pyproject.toml names."""
    build = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
    return folder / run(sys.executable, "-c", build, folder, cwd=ROOT).splitlines()[-1]


def check_contents(sdist: Path, wheel: Path) -> None:
    """Each module of the source distribution is in the wheel, compiled where it is Cython's.

    Neither has anything of tests/, and the wheel has no compiled module but these.
    """
    with tarfile.open(sdist) as archive:
        packed = [name.partition("/")[2] for name in archive.getnames()]
    sources = [name.removeprefix("src/") for name in packed if name.startswith("src/fastdns/")]
    with zipfile.ZipFile(wheel) as archived:
        names = archived.namelist()
    there = {name.partition(".cpython-")[0] + ".so" if name.endswith(".so") else name for name in names}
    expected = {name.replace(".pyx", ".so") for name in sources if name.endswith((".py", ".pyx", ".pyi", ".yaml"))}
    if missing := sorted(expected - there):
        raise SystemExit(f"package: {wheel.name} lacks {', '.join(missing)}")
    pages = [name.rpartition("/")[2] for name in names if "/share/man/" in name]
    if not {"fastdns.1", "corefile.5", "fastdns-kubernetes.7"} <= set(pages):
        raise SystemExit(f"package: {wheel.name} lacks pages of the manual: it has {', '.join(pages) or 'none'}")
    if tests := sorted(name for name in packed if name == "tests" or name.startswith("tests/")):
        raise SystemExit(f"package: {sdist.name} has what only tests use: {', '.join(tests)}")
    foreign = {name for name in there if not name.startswith(("fastdns/", "fastdns-"))}
    if more := sorted(foreign | {name for name in there - expected if name.endswith(".so")}):
        raise SystemExit(f"package: {wheel.name} has what no source of fastdns makes: {', '.join(more)}")


def own_network() -> list[str]:
    """What a command is run by so that its ports are nobody else's; nothing, where we may not have that."""
    prefix = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if not shutil.which("unshare") or not shutil.which("ip"):
        return []
    possible = subprocess.run([*prefix, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10)
    return prefix if possible.returncode == 0 else []


def ask_installed(what: Path, folder: Path) -> str:
    """Install what into an empty environment below folder; returns the demo's answer."""
    run(sys.executable, "-m", "venv", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    run(python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", what)
    away = folder / "away"
    away.mkdir()
    command = [*own_network(), python, ASKING, folder / "venv" / "bin" / "fastdns"]
    return run(*command, cwd=away, environ={"PYTHONPATH": "", "FASTDNS_WORKERS": "1"}).strip()


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.package", description=__doc__)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where both are left (default: dist)")
    dist = parser.parse_args().dist.absolute()
    dist.mkdir(exist_ok=True, parents=True)
    sdist = build_sdist(dist)
    with tempfile.TemporaryDirectory(prefix="fastdns-package-") as temporary:
        folder = Path(temporary)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel", "--no-deps"]
        run(*pip, "--wheel-dir", folder, sdist)
        wheel = shutil.move(next(folder.glob("fastdns-*.whl")), dist / next(folder.glob("fastdns-*.whl")).name)
        check_contents(sdist, wheel)
        # The second one compiles the same once more: quick where ccache is installed, as .ci/run does.
        for what in (wheel, sdist):
            name = what.name
            place = folder / f"of-{name}"
            place.mkdir()
            answer = ask_installed(what, place)
            print(f"{name}: kubernetes.default.svc.cluster.local A {answer}", flush=True)
            if answer != "10.96.0.1":
                raise SystemExit(f"package: 10.96.0.1 expected of {name}, got {answer or 'no answer'!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
