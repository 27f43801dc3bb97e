"""Each fenced block says what it is, and what is not run is looked at: commands, Corefiles, YAML, metrics."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from fastdns.cli import main
from tests.docs.fences import LANGUAGES, PAGES, ROOT, Block, blocks_of, commands_of
from tests.docs.statics import problems

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
# Tests of their own boot the Corefiles of plugins' READMEs. They have few commands, and none that is run.
READMES = sorted((ROOT / "src/fastdns/plugins").glob("*/README.md"))
OF_READMES = [block for page in READMES for block in blocks_of(page) if block.language in ("console", "sh")]
# What the Corefiles of the pages take from the environment.
ENVIRON = {"DNS_PORT": "1053"}
# A metric of ours, of CoreDNS or of the process: the first word of what follows it is not one.
METRIC = re.compile(r"\b(?:(?:coredns|fastdns|process|python_gc)_[a-z_]+[a-z]|python_info)\b")


def of(*languages: str) -> list[object]:
    """The blocks of some languages, each named after its place."""
    return [pytest.param(block, id=block.place) for block in BLOCKS if block.language in languages]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_block_says_what_it_is(page: Path) -> None:
    for block in blocks_of(page):
        assert block.language in LANGUAGES, f"{block.place}: a fence takes one of {', '.join(LANGUAGES)}"
        unknown = set(block.words) - LANGUAGES[block.language]
        assert not unknown, f"{block.place}: {block.language} takes no {', '.join(sorted(unknown))}"
        if "not-run" in block.words:
            assert len(block.words["not-run"]) > 8, f"{block.place}: not-run takes a reason"


@pytest.mark.parametrize("block", of("console", "sh"))
def test_a_block_has_commands(block: Block) -> None:
    assert commands_of(block)


@pytest.mark.parametrize(
    "block",
    [pytest.param(block, id=block.place) for block in BLOCKS + OF_READMES if "not-run" in block.words],
)
def test_commands_that_are_not_run_are_right_as_far_as_one_can_see(block: Block) -> None:
    assert problems(block) == []


def test_commands_of_readmes_say_that_they_are_not_run() -> None:
    assert [block.place for block in OF_READMES if "not-run" not in block.words] == []


@pytest.mark.parametrize("block", of("corefile"))
def test_a_corefile_passes_fastdns_check(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    for other in blocks_of(block.page):
        if "file" in other.words:
            path = tmp_path / other.words["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(other.text)
    Path("checked").write_text(block.text)
    assert main(["check", "-conf", "checked"]) == 0, f"{block.place}:\n{capsys.readouterr().err}"


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=block.place) for block in BLOCKS if "listing" in block.words]
)
def test_a_listing_is_the_file(block: Block) -> None:
    assert block.text == (ROOT / block.words["listing"]).read_text()


@pytest.mark.parametrize("block", of("yaml"))
def test_yaml_is_read(block: Block) -> None:
    assert any(yaml.safe_load_all(block.text))


def test_json_is_read() -> None:
    for block in BLOCKS:
        if block.language == "json":
            json.loads(block.text)


def documented_metrics() -> set[str]:
    """The names in the tables of docs/reference/metrics.md, histograms with their series."""
    names = set(re.findall(r"`([a-z]+_[a-z_]+)`", (ROOT / "docs/reference/metrics.md").read_text()))
    return names | {f"{name}_{series}" for name in names for series in ("bucket", "count", "sum")}


# Decisions are records of their day. Of what public dashboards ask, some is of old versions of CoreDNS.
CURRENT = [page for page in PAGES if page.parent.name != "decisions" and page.name != "dashboards.md"]


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_metrics_that_a_page_names_exist(page: Path) -> None:
    assert set(METRIC.findall(page.read_text())) - documented_metrics() == set()
