"""``fastdns check -differences``: what the plugins of a Corefile do otherwise than CoreDNS's."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from fastdns.cli import main
from fastdns.differences import SECTION, Difference, differences, listed, readme_of
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
    assert [difference.text for difference in listed(README)] == [
        "The first item has two lines.",
        "The second one has `one`.",
        "A paragraph.",
        "size: CoreDNS: small; fastdns: large",
    ]


def test_items_with_hyphens_are_items_of_their_own() -> None:
    texts = [difference.text for difference in listed(WITH_HYPHENS)]
    assert texts == ["The first item has two lines.", "The second one has a range: 1 - 2."]


LABELLED = """\
# example

## Differences from CoreDNS

* **better**: One.
* **different**, `ttl`, `{local}`: Two. To do: look.
* Three.

**error**: Of patterns:

| what | CoreDNS | fastdns |
| --- | --- | --- |
| size | small | large |
"""


def test_items_have_verdicts_and_options() -> None:
    assert list(listed(LABELLED, "x")) == [
        Difference("x", "One.", "better"),
        Difference("x", "Two.", "different", ("ttl", "{local}"), "look."),
        Difference("x", "Three."),
        Difference("x", "size: CoreDNS: small; fastdns: large", "error"),
    ]


@pytest.mark.parametrize(
    ("words", "directive", "concerned"),
    [
        (["ttl", "5"], False, True),
        (["log", ".", "to {local}"], True, True),
        (["ttls", "5"], False, False),
        (["log"], True, False),
    ],
)
def test_options_are_found_in_lines(words: list[str], directive: bool, concerned: bool) -> None:
    difference = Difference("x", "Two.", "different", ("ttl", "{local}"))
    assert difference.concerns(words, directive=directive) is concerned
    assert Difference("x", "One.").concerns(words, directive=directive) is directive


@pytest.mark.parametrize("name", available())
def test_options_are_those_of_the_readme(name: str) -> None:
    """A label with a misspelt option would judge no line, in silence."""
    readme = readme_of(load(name))
    others = readme.replace(readme.partition(SECTION)[2].partition("\n## ")[0], "")
    for difference in differences([load(name)]):
        # What is not there may stand in the list of differences only.
        words = others + difference.text
        for option in difference.options:
            assert option.rstrip("(") in words, (option, difference.text)


@pytest.mark.parametrize("name", available())
def test_all_that_a_readme_says_is_listed(name: str) -> None:
    """Each has its word in the list: a section in another form would be lost in silence."""
    readme = (Path(__file__).parents[1] / f"src/fastdns/plugins/{name}/README.md").read_text()
    found = list(differences([load(name)]))
    assert bool(found) == (SECTION in readme)
    said = "".join(readme.partition(SECTION)[2].partition("\n## ")[0].split())
    for difference in found:
        assert difference.plugin == name
        assert "".join(difference.text.split(": ")[0].split()) in said


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
    assert msgspec.convert(said[0], Difference) == first
