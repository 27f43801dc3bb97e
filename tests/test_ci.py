"""What guards main installs what it needs itself, and says what it cannot have."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSTALLED = [
    "ccache", "bind9-dnsutils", "knot-dnsutils", "ldnsutils", "stubby", "golang-go", "knot", "unbound",
    "etcd-server", "dnsperf", "chromium", "libnss3-tools", "faketime", "iproute2", "mount", "util-linux",
    "man-db", "mandoc", "fish", "zsh", "prometheus", "curl", "procps",
]  # fmt: skip
STEPS = [
    "make providers", "make test", "make lint", "make typecheck", "make docs", "make fuzz FUZZ_PACKETS=50000",
    "make package",
]  # fmt: skip


# Under a newer one there is nothing to say.
ONLY = (
    ""
    if sys.version_info >= (3, 13)
    else f".ci/run: no Python 3.13 or newer is here; the tests ran under Python {platform.python_version()} only\n"
)


def run(
    folder: Path, *, user: int = 0, apt: str | None = "exit 0", more: dict[str, str] | None = None
) -> tuple[list[str], str]:
    """What .ci/run would do on a host with a compiler and Python: the commands, and what it says of trouble."""
    done = folder / "done"
    commands = {
        "id": f"echo {user}",
        "gcc": "exit 1",
        "make": f'echo make "$@" >>{done}',
        "python3": f'exec {sys.executable} "$@"',
        "dirname": f'exec {shutil.which("dirname")} "$@"',
    }
    if apt is not None:
        commands["apt-get"] = f'echo apt-get "$@" >>{done}\n{apt}'
    for name, script in {**commands, **(more or {})}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    ended = subprocess.run(
        [str(shutil.which("bash")), str(ROOT / ".ci" / "run")],
        env={"PATH": str(folder), "FASTDNS_CI_TOOLS": str(folder / "tools")},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 0, ended.stderr
    said = ended.stderr
    if more is None:
        assert said.endswith(ONLY)
        said = said.removesuffix(ONLY)
    return done.read_text().splitlines(), said


def test_what_is_missing_is_installed(tmp_path: Path) -> None:
    install = "apt-get -qq install --yes --no-install-recommends"
    commands = ["apt-get -qq update", *(f"{install} {package}" for package in INSTALLED), *STEPS]
    assert run(tmp_path) == (commands, "")


def test_what_cannot_be_installed_is_said_and_does_not_end_it(tmp_path: Path) -> None:
    done, said = run(tmp_path, apt='case "$*" in *ldnsutils) exit 100;; esac')
    assert said == ".ci/run: ldnsutils cannot be installed; tests that need it are skipped\n"
    after = INSTALLED[INSTALLED.index("ldnsutils") + 1 :]
    assert done[-len(after) - len(STEPS) :] == [*(line for line in done if line.split()[-1] in after), *STEPS]


@pytest.mark.parametrize(("user", "apt"), [(1000, "exit 0"), (0, None)], ids=["not root", "no apt-get"])
def test_what_is_not_ours_to_install_is_said(tmp_path: Path, user: int, apt: str | None) -> None:
    done, said = run(tmp_path, user=user, apt=apt)
    packages = " ".join(INSTALLED)
    assert said == f".ci/run: missing here, and not ours to install: {packages}; tests that need them are skipped\n"
    assert done == STEPS


BUILT = [
    "go install -ldflags=-s -w helm.sh/helm/v3/cmd/helm@v3.19.5",
    "go install -ldflags=-s -w github.com/rhysd/actionlint/cmd/actionlint@v1.7.12",
    "go install -ldflags=-s -w github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.3",
    "go install -ldflags=-s -w sigs.k8s.io/kustomize/kustomize/v5@v5.7.1",
]
OURS = "go -C tests/transports/goquic build -buildvcs=false -o /dev/null ."


@pytest.mark.parametrize(
    ("there", "built"),
    [({}, BUILT), ({"kubectl": "exit 0"}, BUILT[:3]), ({"helm": "exit 0", "kustomize": "exit 0"}, BUILT[1:3])],
    ids=["neither", "kubectl has kustomize", "both"],
)
def test_what_debian_lacks_is_built_by_go(tmp_path: Path, there: dict[str, str], built: list[str]) -> None:
    done, said = run(tmp_path, more={"go": f'echo go "$@" >>{tmp_path}/done', **there})
    assert [line for line in done if line.startswith("go ")] == [*built, OURS]
    assert done[-len(STEPS) :] == STEPS
    assert said.removesuffix(ONLY) == ""


def test_what_go_cannot_build_is_said_and_does_not_end_it(tmp_path: Path) -> None:
    there = dict.fromkeys(("kubectl", "actionlint", "pebble"), "exit 0")
    done, said = run(tmp_path, more={"go": "exit 1", **there})
    lines = [f".ci/run: {name} cannot be built; tests that need it are skipped\n" for name in ("helm", "goquic")]
    assert said.removesuffix(ONLY) == "".join(lines)
    assert done[-len(STEPS) :] == STEPS


@pytest.mark.parametrize(
    ("installed", "asked"),
    [
        ({"python3.13": "3.13.9"}, "python3.13"),
        ({"python3.13": "3.13.9", "python3.14": "3.14.1"}, "python3.14"),
        # What a package manager leaves for a version that is not there.
        ({"python3.14": "", "python3.13": "3.13.9"}, "python3.13"),
    ],
    ids=["3.13", "both", "a command that does not run"],
)
def test_the_newest_python_is_tested_too(tmp_path: Path, installed: dict[str, str], asked: str) -> None:
    more = {
        name: f'test "$1" = -c || echo Python {version}' if version else "exit 127"
        for name, version in installed.items()
    }
    done, said = run(tmp_path, more=more)
    assert done[-len(STEPS) - 1 :] == [*STEPS, f"make test-many PYTHON={asked}"]
    assert said == ""


def test_the_same_python_is_not_tested_twice(tmp_path: Path) -> None:
    more = {"python3.14": f'test "$1" = -c || echo Python {platform.python_version()}'}
    assert run(tmp_path, more=more)[0][-len(STEPS) :] == STEPS
