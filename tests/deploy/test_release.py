"""What a release is checked for: versions, the changelog, and the workflow that publishes."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.tools.release import problems, sections

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
JOBS: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]
PACKAGE, CHART = "src/fastdns/__init__.py", "deploy/helm/fastdns/Chart.yaml"
TWO = """\
# Changelog

## 0.2.0 (unreleased)

- Second.
  More of it.

## 0.1.0 (2026-12-01)

- First.
"""


def test_sections_have_version_day_and_notes() -> None:
    second, first = sections(TWO)
    assert (second.version, second.day, second.notes) == ("0.2.0", None, "- Second.\n  More of it.")
    assert (first.version, str(first.day), first.notes) == ("0.1.0", "2026-12-01", "- First.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: expected '# Changelog'"),
        ("# Changelog\n", "it has no version"),
        ("# Changelog\n## 0.1 (unreleased)\n- One.\n", "line 2: expected '## X.Y.Z"),
        ("# Changelog\n## 0.1.0\n- One.\n", "line 2: expected '## X.Y.Z"),
        ("# Changelog\n## 0.1.0 (soon)\n- One.\n", "line 2: soon is no day"),
        ("# Changelog\n## 0.1.0 (2026-13-01)\n- One.\n", "line 2: 2026-13-01 is no day"),
        ("# Changelog\n## 0.1.0 (unreleased)\n\n", "line 2: 0.1.0 has no items"),
        (TWO.replace("0.2.0", "0.1.0"), "line 8: 0.1.0 stands below 0.1.0"),
        (TWO.replace("0.2.0", "0.0.9"), "line 8: 0.1.0 stands below 0.0.9"),
        (TWO.replace("2026-12-01", "unreleased"), "line 8: 0.1.0 is unreleased, but"),
        (TWO.replace("unreleased", "2026-11-30"), "line 8: 0.1.0 is younger than 0.2.0"),
        (TWO.replace("0.2.0", "0.10.0").replace("0.1.0", "0.9.0"), None),
    ],
)
def test_the_form_of_a_changelog(text: str, said: str | None) -> None:
    if said is None:
        assert len(sections(text)) == 2
        return
    with pytest.raises(ValueError, match=re.escape(said)):
        sections(text)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files that state the version: 0.2.0, to be released."""
    (tmp_path / "src" / "fastdns").mkdir(parents=True)
    (tmp_path / "src" / "fastdns" / "__init__.py").write_text('__version__ = "0.2.0"\n')
    (tmp_path / "deploy" / "helm" / "fastdns").mkdir(parents=True)
    (tmp_path / "deploy" / "helm" / "fastdns" / "Chart.yaml").write_text("version: 0.2.0\nappVersion: 0.2.0\n")
    (tmp_path / "CHANGELOG.md").write_text(TWO.replace("unreleased", "2026-12-24"))
    return tmp_path


def test_a_tag_that_fits_gives_the_notes(tree: Path) -> None:
    assert problems(tree, "v0.2.0") == ([], "- Second.\n  More of it.")


@pytest.mark.parametrize(
    ("file", "text", "tag", "said"),
    [
        ("CHANGELOG.md", TWO, "v0.2.0", "0.2.0 is unreleased"),
        ("CHANGELOG.md", "", "v0.2.0", "CHANGELOG.md: line 1"),
        (None, "", "v0.3.0", "the tag is v0.3.0; expected v0.2.0"),
        (None, "", "0.2.0", "the tag is 0.2.0; expected v0.2.0"),
        (PACKAGE, '__version__ = "0.1.0"\n', "v0.2.0", "__init__.py says 0.1.0, CHANGELOG.md 0.2.0"),
        (PACKAGE, "", None, "__init__.py: no line like"),
        (CHART, "version: 1.0.0\nappVersion: 0.2.0\n", None, "Chart.yaml: version says 1.0.0"),
        (CHART, "version: 0.2.0\nappVersion: 1\n", None, "Chart.yaml: appVersion says 1"),
    ],
)
def test_what_keeps_a_tag_from_being_released(tree: Path, file: str | None, text: str, tag: str, said: str) -> None:
    if file:
        (tree / file).write_text(text)
    found, _ = problems(tree, tag)
    assert len(found) == 1
    assert said in found[0]


def test_an_unreleased_version_is_no_mistake_without_a_tag(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text(TWO)
    assert problems(tree, None)[0] == []


def test_this_repository_could_be_tagged_but_for_the_day() -> None:
    assert problems(ROOT, None)[0] == []


def test_jobs_wait_for_what_they_take_and_the_check_comes_first() -> None:
    """Nothing is published that was not built by this run from the tag that was checked."""
    needs = {name: [one] if isinstance(one := job.get("needs", []), str) else one for name, job in JOBS.items()}

    def before(name: str) -> set[str]:
        return set(needs[name]).union(*map(before, needs[name])) if needs[name] else set()

    assert [name for name in JOBS if name != "check" and "check" not in before(name)] == []
    assert {"sdist", "wheels"} <= before("publish-packages")
    assert {"publish-image", "publish-packages"} <= before("publish-release")


def test_jobs_have_no_more_rights_than_they_use() -> None:
    assert yaml.safe_load(WORKFLOW.read_text())["permissions"] == {"contents": "read"}
    writing = {
        (name, right)
        for name, job in JOBS.items()
        for right, how in job.get("permissions", {}).items()
        if how == "write"
    }
    assert writing == {
        ("image", "packages"),
        *(("publish-image", right) for right in ("packages", "id-token", "attestations")),
        *(("publish-packages", right) for right in ("id-token", "attestations")),
        ("publish-release", "contents"),
    }


def test_a_run_by_hand_publishes_nothing() -> None:
    for name, job in JOBS.items():
        if name == "image" or name.startswith("publish"):
            needs = job["needs"] if isinstance(job["needs"], list) else [job["needs"]]
            skipped = [one for one in needs if "ref_type" in JOBS[one].get("if", "")]
            assert job.get("if") == "github.ref_type == 'tag'" or skipped, name


def test_jobs_end() -> None:
    assert [name for name, job in JOBS.items() if "timeout-minutes" not in job] == []


def test_the_image_has_the_wheel_that_is_published() -> None:
    (build,) = [step["run"] for step in JOBS["image"]["steps"] if "buildx build" in step.get("run", "")]
    assert "-f deploy/Dockerfile" in build and "WHEEL=" in build
    arguments = set(re.findall(r"--build-arg (\w+)=", build))
    assert arguments <= set(re.findall(r"^ARG (\w+)", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE))
    assert f"cp{''.join(python_of_the_image())}-manylinux" in build


def python_of_the_image() -> tuple[str, str]:
    from deploy.tools.image import PYTHON

    major, minor = PYTHON.split(".")
    return major, minor


def test_wheels_are_built_for_both_machines_and_c_libraries() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
    assert settings["build"] == "cp*-manylinux_* cp*-musllinux_*"
    assert settings["archs"].split() == [one["machine"] for one in JOBS["wheels"]["strategy"]["matrix"]["include"]]
    for command in settings["test-command"]:
        for path in re.findall(r"\{project\}/(\S+)", command):
            assert (ROOT / path).exists()
            # They are built of the source distribution, which has no tests/.
            assert not path.startswith("tests/")


def test_actionlint_finds_nothing() -> None:
    if shutil.which("actionlint") is None:
        pytest.skip("actionlint is not installed")
    ended = subprocess.run(["actionlint", WORKFLOW], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "")
