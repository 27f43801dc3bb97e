"""Every Corefile in the documentation loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.corefile.model import ServerConfig
from fastdns.errors import UnsupportedError
from fastdns.plugins.order import available

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "src/fastdns/plugins"
PAGES = sorted([*PLUGINS.glob("*/README.md"), *ROOT.glob("docs/**/*.md"), ROOT / "README.md"])
FENCED = re.compile(r"^([ ]*)```corefile\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
ENVIRON = {"DNS_PORT": "1053"}


def loaded(text: str, file: str = "Corefile") -> ServerConfig:
    """What a text is; the test is skipped where it needs a package that is not here."""
    try:
        return load(text, file, environ=ENVIRON)
    except UnsupportedError as error:
        if "needs the package" in str(error):
            pytest.skip(str(error))
        raise


def examples() -> list[tuple[Path, int, str]]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in FENCED.finditer(text):
            found.append((page, text.count("\n", 0, match.start()) + 1, match[2]))
    return found


@pytest.mark.parametrize(
    ("page", "line", "text"),
    [pytest.param(*example, id=f"{example[0].relative_to(ROOT)}:{example[1]}") for example in examples()],
)
def test_example_loads(page: Path, line: int, text: str) -> None:
    config = loaded(text, str(page))
    assert config.listeners, f"the example at {page}:{line} serves nothing"


@pytest.mark.parametrize(
    "text", [pytest.param(text, id=f"{page.relative_to(ROOT)}:{line}") for page, line, text in examples()]
)
def test_the_zones_of_a_plugin_are_asked_for_where_it_is(text: str) -> None:
    """A zone that is no key of the block, nor below one, is never looked for there: its names are refused."""
    for block, kubernetes in loaded(text).with_plugin("kubernetes"):
        for zone in kubernetes.zones:
            assert any(f".{zone}".endswith(f".{key}") or key == "." for key in block.zones), zone


@pytest.mark.parametrize("name", sorted(available()))
def test_every_plugin_has_a_readme_with_an_example(name: str) -> None:
    text = (PLUGINS / name / "README.md").read_text()
    assert text.startswith(f"# {name}\n")
    for section in ("Name", "Description", "Syntax", "Examples"):
        assert f"\n## {section}\n" in text
    used = [set(loaded(match[2]).blocks[0].plugins) for match in FENCED.finditer(text)]
    assert any(name in plugins for plugins in used)
