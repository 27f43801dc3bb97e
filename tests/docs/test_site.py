"""The site of the documentation: which pages it has, what becomes of links, and that a broken one is found."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.fences import ROOT


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_of_docs", ROOT / "docs/site.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def prepared(site: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    site.prepare(folder)
    return folder


def pages_of(nav: object) -> list[str]:
    """All pages of a navigation."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    assert not isinstance(parts, str)
    return [page for part in parts for page in pages_of(part)]


def test_every_page_is_in_the_navigation_once(prepared: Path) -> None:
    nav = tomllib.loads((prepared / "zensical.toml").read_text())["project"]["nav"]
    there = sorted(path.relative_to(prepared / "pages").as_posix() for path in (prepared / "pages").rglob("*.md"))
    assert sorted(pages_of(nav)) == there
    assert {"index.md", "plugins/cache.md", "reference/differences-by-plugin.md"} <= set(there)


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("reference/plugins.md", "](../plugins/cache.md)"),
        ("plugins/forward.md", "](../explanation/overload.md)"),
        ("plugins/auto.md", "](../plugins/file.md)"),
        ("how-to/bench-beside-coredns.md", "/blob/main/bench/RESULTS.md)"),
        ("index.md", "](decisions/index.md)"),
    ],
)
def test_links_are_those_of_the_site(page: str, link: str, prepared: Path) -> None:
    assert link in (prepared / "pages" / page).read_text()


def test_fences_are_for_readers(prepared: Path) -> None:
    text = (prepared / "pages/reference/command-line.md").read_text()
    assert "file=" not in text and "```console background" not in text
    assert "```console\n$ fastdns -version\n" in text


def test_differences_are_a_table(site: ModuleType, prepared: Path) -> None:
    text = (prepared / "pages/reference/differences-by-plugin.md").read_text()
    assert "| different | `tls://` `https://` | The certificate" in text
    assert "## cache\n" in text


def test_broken_links_are_found(site: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="one">x</h1><a href="#one"></a><a href="#two"></a><a href="sub/a.html#b"></a>'
        '<a href="sub/a.html#c"></a><a href="absent.html"></a><a href="https://example.org/x"></a><img src="p.png">'
    )
    (tmp_path / "sub/a.html").write_text('<p id="b"><a href="../index.html#one"></a><a href="."></a></p>')
    assert site.broken_links(tmp_path) == [
        "index.html: #two", "index.html: sub/a.html#c", "index.html: absent.html", "index.html: p.png",
        "sub/a.html: .",
    ]  # fmt: skip


@pytest.mark.skipif(importlib.util.find_spec("zensical") is None, reason="no zensical: make docs installs it")
def test_it_is_built_without_a_warning(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "docs/site.py", "--out", tmp_path], capture_output=True, text=True, timeout=100
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "site/search.json").stat().st_size > 100_000
