"""``fastdns check -differences``: what the plugins of a Corefile do otherwise than CoreDNS's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastdns.cli import main
from fastdns.differences import SECTION, Difference, differences, listed
from fastdns.plugins.api import Plugin
from fastdns.plugins.order import available, load


class Bare(Plugin):
    """A plugin of a package that has no README."""


README = """\
# example

## Differences from CoreDNS

Failures:

* The first item
  has two lines.
* The second one has `one`.

A paragraph.

| what | CoreDNS | fastdns |
| --- | --- | --- |
| size | small | large |

## Examples

* An item of another section.
"""
WITH_HYPHENS = """\
# example

## Differences from CoreDNS

- The first item
  has two lines.
- The second one has a range: 1 - 2.
"""


def test_items_paragraphs_and_rows_are_listed() -> None:
    assert list(listed(README)) == [
        "The first item has two lines.",
        "The second one has `one`.",
        "A paragraph.",
        "size: CoreDNS: small; fastdns: large",
    ]


def test_items_with_hyphens_are_items_of_their_own() -> None:
    assert list(listed(WITH_HYPHENS)) == ["The first item has two lines.", "The second one has a range: 1 - 2."]


@pytest.mark.parametrize("name", available())
def test_all_that_a_readme_says_is_listed(name: str) -> None:
    """Each has its word in the list: a section in another form would be lost in silence."""
    readme = (Path(__file__).parents[1] / f"src/fastdns/plugins/{name}/README.md").read_text()
    found = list(differences([load(name)]))
    assert bool(found) == (SECTION in readme)
    said = "".join(readme.partition(SECTION)[2].partition("\n## ")[0].split())
    for difference in found:
        assert difference.plugin == name
        assert "".join(difference.text.split(":")[0].split()) in said


def test_a_plugin_without_a_readme_has_none() -> None:
    assert not list(differences([Bare()]))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corefile = tmp_path / "Corefile"
    corefile.write_text(". {\n    cache\n    whoami\n}\n")
    first = next(differences([load("cache")]))
    assert main(["check", "-conf", str(corefile)]) == 0
    assert first.text not in capsys.readouterr().out
    assert main(["check", "-conf", str(corefile), "-differences"]) == 0
    assert f"\ncache: {first.text}\n" in capsys.readouterr().out
    assert main(["check", "-conf", str(corefile), "-json"]) == 0
    said = json.loads(capsys.readouterr().out)["differences"]
    assert Difference(**said[0]) == first
