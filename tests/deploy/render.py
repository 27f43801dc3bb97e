"""Renders the chart by helm and the overlays by kustomize, as an operator's commands do."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.deploy.objects import Object, read_objects

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "fastdns"
KUSTOMIZE = ROOT / "deploy" / "kustomize"
VALUES = Path(__file__).parent / "values"
# A helm that Go has built takes itself for one of Kubernetes 1.20.
KUBERNETES = "1.34"


class RefusedError(Exception):
    """What helm says of values, or of a cluster, that the chart does not take."""


def helm(*words: str | Path, stdin: str | None = None) -> str:
    """Run helm; returns what it prints. Skips the test where there is none."""
    if shutil.which("helm") is None:
        pytest.skip("no helm")
    ended = subprocess.run(["helm", *map(str, words)], input=stdin, capture_output=True, text=True, timeout=60)
    if ended.returncode:
        raise RefusedError(ended.stderr)
    return ended.stdout


@cache
def _template(words: tuple[str, ...]) -> str:
    return helm("template", "coredns", CHART, "--namespace", "kube-system", "--kube-version", KUBERNETES, *words)


def chart(values: str | None = None, *settings: str) -> list[Object]:
    """The objects of the chart as release "coredns" in kube-system: a file of VALUES, and settings NAME=VALUE."""
    files = ("--values", str(VALUES / f"{values}.yaml")) if values else ()
    return read_objects(_template((*files, *(word for one in settings for word in ("--set", one)))))


@cache
def _build(folder: Path) -> str:
    for command in (["kubectl", "kustomize"], ["kustomize", "build"]):
        if shutil.which(command[0]):
            ended = subprocess.run([*command, folder], capture_output=True, text=True, timeout=60)
            assert ended.returncode == 0, ended.stderr
            return ended.stdout
    pytest.skip("neither kubectl nor kustomize")


def build(folder: Path) -> list[Object]:
    """The objects of a kustomization."""
    return read_objects(_build(folder))


def overlay(folder: str) -> list[Object]:
    """The objects of a folder of deploy/kustomize."""
    return build(KUSTOMIZE / folder)
