"""Builds the site of the documentation: pages, plugins' READMEs, and what is made of both; then checks its links.

    python docs/site.py [--out FOLDER]       (`make docs` installs Zensical, and runs it)

Pages stay as they are read in the repository. A copy is made for the generator: a link into the repository becomes
one to a page of the site, or an address of the repository. The navigation is that of docs/README.md, with a page of
each plugin. Warnings of the generator, and links that lead nowhere, make it fail.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from fastdns.differences import Difference, listed  # noqa: E402

DOCS = ROOT / "docs"
PLUGINS = ROOT / "src/fastdns/plugins"
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
HEADS = "| verdict | options | what | to do |\n| --- | --- | --- | --- |\n"
DIFFERENCES = "reference/differences-by-plugin.md"
# GitHub's way to name headings, which links are written for; code and tables as in GitHub's Markdown.
CONFIG = """\
[project]
site_name = "fastdns"
site_description = "A cluster DNS server for Kubernetes that drops in where CoreDNS runs"
site_url = "{home}"
repo_url = "{home}"
docs_dir = "pages"
site_dir = "site"
use_directory_urls = false
nav = {nav}

[project.theme]
font = false
features = ["navigation.indexes", "navigation.tabs", "navigation.top", "search.highlight", "content.code.copy"]

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"
toggle = {{ icon = "lucide/sun", name = "Dark" }}

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
toggle = {{ icon = "lucide/moon", name = "Light" }}

[project.markdown_extensions.tables]
[project.markdown_extensions.sane_lists]
[project.markdown_extensions.pymdownx.highlight]
[project.markdown_extensions.pymdownx.superfences]
[project.markdown_extensions.toc]
permalink = true
slugify = {{ object = "pymdownx.slugs.slugify", kwds = {{ case = "lower" }} }}
"""


def page_of(path: Path) -> str | None:
    """What a file of the repository is called in the site; None where it is no page."""
    if path == DOCS / "README.md":
        return "index.md"
    if path.name == "README.md" and path.parent.parent == PLUGINS:
        return f"plugins/{path.parent.name}.md"
    if path.is_relative_to(DOCS) and path.suffix in (".md", ".png", ".svg"):
        page = path.relative_to(DOCS).as_posix()
        return page.replace("README.md", "index.md")
    return None


def sources() -> list[Path]:
    """All files that are pages, or shown on them."""
    found = [path for path in DOCS.rglob("*") if path.is_file()] + list(PLUGINS.glob("*/README.md"))
    return sorted(path for path in found if page_of(path))


def converted(path: Path, home: str) -> str:
    """A page for the generator: links as the site has them; fences without what tests read in them."""
    page = Path(page_of(path) or "")

    def link(found: re.Match[str]) -> str:
        target, _, anchor = found[2].partition("#")
        if re.match(r"[a-z]+:", target) or not target:
            return found[0]
        to = (path.parent / target).resolve()
        name = page_of(to / "README.md" if to.is_dir() else to)
        if name is None:
            where = f"{home}/{'tree' if to.is_dir() else 'blob'}/main/{to.relative_to(ROOT).as_posix()}"
        else:
            where = Path(*[".."] * len(page.parent.parts), name).as_posix()
        return f"{found[1]}{where}{'#' + anchor if anchor else ''}{found[3]}"

    kept: list[str] = []

    def fence(found: re.Match[str]) -> str:
        kept.append(f"{found[1]}```{found[2] if found[2] != 'corefile' else 'nginx'}\n{found[3]}{found[1]}```")
        return f"\0{len(kept) - 1}\0"

    text = FENCE.sub(fence, path.read_text(encoding="utf-8"))
    # Python-Markdown wants an empty line before a list.
    text = re.sub(r"(?m)^(?![*-] |  |\s*$|#)(.+)\n(?=[*-] )", r"\1\n\n", text)
    # A link within code is none.
    pieces = re.split(r"(`[^`\n]+`(?!\]))", text)
    text = "".join(piece if number % 2 else LINK.sub(link, piece) for number, piece in enumerate(pieces))
    return re.sub(r"\0(\d+)\0", lambda found: kept[int(found[1])], text)


def differences_page() -> str:
    """What each plugin does otherwise than CoreDNS's, as `fastdns check` judges lines by it."""
    parts = [
        "# Differences by plugin\n",
        "From the READMEs of the plugins. `fastdns check` judges each line of a Corefile by these rows.\n",
    ]
    for path in sorted(PLUGINS.glob("*/README.md")):
        found = list(listed(path.read_text(encoding="utf-8"), path.parent.name))
        if found:
            parts.append(f"## {path.parent.name}\n\n{HEADS}" + "".join(_row(each) for each in found))
    return "\n".join(parts)


def _row(difference: Difference) -> str:
    # Links are those of the README that the row comes from.
    texts = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text) for text in (difference.text, difference.todo)]
    options = " ".join(f"`{option}`" for option in difference.options)
    cells = [difference.verdict, options, *texts]
    return "| " + " | ".join(cell.replace("|", "&#124;") for cell in cells) + " |\n"


def navigation() -> list[dict[str, object]]:
    """The sections of docs/README.md with their pages, in its order; then the plugins."""
    made: list[dict[str, object]] = [{"Home": "index.md"}]
    for section in re.split(r"^## ", (DOCS / "README.md").read_text(), flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0].partition(":")[0]
        links = [target for _, target, _ in LINK.findall(section)]
        pages: list[object] = [page_of((DOCS / target.partition("#")[0]).resolve()) for target in links]
        if title == "Reference":
            pages.append(DIFFERENCES)
        if "decisions/index.md" in pages:
            pages.remove("decisions/index.md")
            numbered = sorted(path.name for path in (DOCS / "decisions").glob("0*.md"))
            pages.append({"Decisions": ["decisions/index.md", *(f"decisions/{name}" for name in numbered)]})
        made.append({title: list(dict.fromkeys(map(json.dumps, pages)))})
    for section_pages in made[1:]:
        for title, pages_of in section_pages.items():
            section_pages[title] = [json.loads(page) for page in pages_of]  # type: ignore[attr-defined]
    names = sorted(path.parent.name for path in PLUGINS.glob("*/README.md"))
    made.insert(4, {"Plugins": [{name: f"plugins/{name}.md"} for name in names]})
    return made


def toml(value: object) -> str:
    """A value of the configuration, inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def prepare(folder: Path) -> None:
    """Write what the generator reads."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    shutil.rmtree(folder, ignore_errors=True)
    for path in sources():
        to = folder / "pages" / (page_of(path) or "")
        to.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            to.write_text(converted(path, urls["Homepage"]), encoding="utf-8")
        else:
            shutil.copy(path, to)
    (folder / "pages" / DIFFERENCES).write_text(differences_page(), encoding="utf-8")
    (folder / "zensical.toml").write_text(CONFIG.format(home=urls["Homepage"], nav=toml(navigation())))


class Page(HTMLParser):
    """The identifiers and the links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.ids.add(value)
            elif name in ("href", "src") and value and tag != "base":
                self.links.append(value)


def broken_links(site: Path) -> list[str]:
    """Links within the site that lead nowhere, or to a heading that there is not."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    broken = []
    for path, page in pages.items():
        # Its links are made for any place below the site's address.
        for link in page.links if path.name != "404.html" else ():
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            to = to / "index.html" if to.is_dir() else to
            anchor = unquote(parts.fragment)
            if not to.exists() or (anchor and to in pages and anchor not in pages[to].ids):
                broken.append(f"{path.relative_to(site)}: {link}")
    return broken


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build/docs", help="default: build/docs")
    folder = parser.parse_args().out.resolve()
    prepare(folder)
    ended = subprocess.run([sys.executable, "-m", "zensical", "build", "--strict", "--clean"], cwd=folder)
    if ended.returncode:
        return ended.returncode
    broken = broken_links(folder / "site")
    for link in broken:
        print(f"docs: a link leads nowhere: {link}", file=sys.stderr)
    if not broken:
        print(f"{folder / 'site'}/index.html: {sum(1 for _ in (folder / 'site').rglob('*.html'))} pages")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
