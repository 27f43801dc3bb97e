"""The manual: fastdns(1) of the table of commands, corefile(5) of the reference, and a page of each README.

Pages are written in Markdown, and turned into troff's form with the macros of man(7). What is read of Markdown is
what READMEs and the reference have: headings, paragraphs, items, tables, code. It needs no compiled module: a wheel
is built with the pages in share/man.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastdns import __version__
from fastdns.commands import COMMANDS, ENVIRONMENT, SERVE, flag_text
from fastdns.errors import FastdnsError

PLUGINS = Path(__file__).parent / "plugins"
# In a checkout. The page of the wheel was made of it.
COREFILE = Path(__file__).parents[2] / "docs" / "reference" / "corefile.md"


@dataclass(frozen=True, slots=True)
class Page:
    """name: of its file. section: of the manual."""

    name: str
    section: int

    @property
    def path(self) -> str:
        """Where it stands below share/."""
        return f"man/man{self.section}/{self.name}.{self.section}"


def pages() -> dict[str, Page]:
    """Every page, by what one calls it in ``fastdns man``."""
    own = {
        "fastdns": Page("fastdns", 1),
        "bench": Page("fastdns-bench", 1),
        "cluster": Page("fastdns-bench-cluster", 1),
        "corefile": Page("corefile", 5),
    }
    return own | {path.parent.name: Page(f"fastdns-{path.parent.name}", 7) for path in _readmes()}


def _readmes() -> list[Path]:
    return sorted(PLUGINS.glob("*/README.md"))


def markdown(called: str) -> str:
    """A page in Markdown; "" of one that is not made here."""
    if called == "fastdns":
        return _fastdns()
    if called in ("bench", "cluster"):
        return _bench(called)
    if called == "corefile":
        return _corefile() if COREFILE.exists() else ""
    text = (PLUGINS / called / "README.md").read_text(encoding="utf-8")
    # A manual's pages are called as their files.
    return text.replace(f"*{called}* - ", f"fastdns-{called} - ", 1)


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(0)) for cell in line)} |\n" for line in lines)


def _fastdns() -> str:
    parts = [
        "# fastdns\n\n## Name\n\nfastdns - a cluster DNS server for Kubernetes that drops in where CoreDNS runs\n",
        "## Synopsis\n\n" + "".join(f"    {command.synopsis}\n" for command in (SERVE, *COMMANDS)),
        "## Description\n\n"
        "fastdns reads a Corefile, and answers DNS queries as it says. Without a command it serves.\n",
    ]
    for command in (SERVE, *COMMANDS):
        does = " ".join(command.does)
        parts.append(f"### {f'fastdns {command.name}'.strip()}\n")
        # Its columns are a listing.
        text = re.sub(r"((?:^  .*\n)+)", r"\n\1\n", command.text, flags=re.MULTILINE)
        parts.append(text.replace("\n  ", "\n    ") or f"{does[:1].upper()}{does[1:]}.\n")
        if command.flags:
            rows = ((f"`{flag_text(flag)}`", flag.help) for flag in command.flags)
            parts.append(_table(("flag", "meaning"), rows))
    variables = ((f"`{name}`", f"{meaning} (default: {default})") for name, meaning, default in ENVIRONMENT)
    parts += [
        "## Environment\n\n" + _table(("name", "meaning"), variables),
        "`NO_COLOR`: where it is set, nothing is coloured.\n",
        "## Exit status\n\n"
        "0 after an orderly end, 1 if the server cannot start or a check found mistakes, 2 for a wrong command "
        "line or after SIGINT, 3 of `fastdns check -strict` where a line is different.\n",
        "## See also\n\ncorefile(5), fastdns-bench(1), and a page of each plugin, such as fastdns-kubernetes(7)\n",
    ]
    return "\n".join(parts)


def _bench(called: str) -> str:
    if called == "bench":
        from fastdns.bench.options import parser

        does = "loads a DNS server and measures it"
    else:
        from fastdns.bench.cluster.options import parser

        does = "measures a DNS server with a synthetic cluster"
    made = parser()
    usage = made.format_usage().removeprefix("usage: ")
    parts = [
        f"# {called}\n\n## Name\n\n{made.prog.replace(' ', '-')} - {does}\n",
        "## Synopsis\n\n" + "".join(f"    {line.strip()}\n" for line in usage.splitlines() if line),
        f"## Description\n\n{made.description}\n## Options\n",
    ]
    for group in made._action_groups:
        shown = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
        if shown:
            rows = ((f"`{_option(action)}`", action.help or "") for action in shown)
            title = "general" if group.title == "options" else group.title
            parts.append(f"### {title}\n\n" + _table(("option", "meaning"), rows))
    parts.append("## Notes\n\n" + "".join(f"    {line}\n" for line in (made.epilog or "").splitlines()))
    return "\n".join(parts)


def _option(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
    names = ", ".join(action.option_strings)
    return f"{names} {value}" if action.nargs != 0 and value else names


def _corefile() -> str:
    text = COREFILE.read_text(encoding="utf-8").partition("\n")[2]
    plugins = []
    for path in _readmes():
        found = re.search(r"\*(\S+)\* - ((?:.+\n)+)", path.read_text(encoding="utf-8"))
        if found:
            plugins.append((f"`fastdns-{found[1]}`(7)", " ".join(found[2].split())))
    return (
        "# corefile\n\n## Name\n\ncorefile - what fastdns serves\n\n## Description\n"
        + text
        + "\n## See also\n\nfastdns(1), and of each plugin a page:\n\n"
        + _table(("page", "meaning"), iter(plugins))
    )


# Markdown to troff


def troff(page: Page, text: str, date: str) -> str:
    """A page in troff's form."""
    lines = [f'.TH "{page.name.upper()}" "{page.section}" "{date}" "fastdns {__version__}" "fastdns"']
    for block in _blocks(text):
        lines += block
    # Behind a heading a paragraph begins anyway.
    kept = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if not (line == ".PP" and before.startswith((".SH", ".SS")))
    ]
    return "\n".join(kept) + "\n"


def _blocks(text: str) -> Iterator[list[str]]:
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    lines = text.split("\n")
    while lines:
        line = lines.pop(0)
        if not line.strip() or line.startswith(("# ", "![")):
            continue
        if line.startswith("#"):
            marks, _, title = line.partition(" ")
            yield [f'.SH "{_plain(title).upper()}"' if len(marks) == 2 else f'.SS "{_plain(title)}"']
        elif line.startswith("```"):
            yield _code(_taken(lines, lambda next_line: not next_line.startswith("```")))
            lines.pop(0)
        elif line.startswith("    "):
            rest = _taken(lines, lambda next_line: not next_line or next_line.startswith("    "))
            yield _code([each[4:] for each in [line, *rest]])
        elif line.startswith("|"):
            yield _rows([line, *_taken(lines, lambda next_line: next_line.startswith("|"))])
        elif re.match(r"[*-] |\d+\. ", line):
            rest = _taken(lines, lambda next_line: next_line.startswith("  ") and bool(next_line.strip()))
            mark, _, first = line.partition(" ")
            bullet = r"\(bu" if mark in "*-" else mark
            yield [f'.IP "{bullet}" {max(2, len(mark) + 1)}', _text([first, *rest])]
        else:
            rest = _taken(
                lines,
                lambda next_line: bool(next_line.strip()) and not re.match(r"#|```|\||[*-] |\d+\. ", next_line),
            )
            yield [".PP", _text([line, *rest])]


def _taken(lines: list[str], wanted: object) -> list[str]:
    """The lines up to the first one that is not wanted; they are removed."""
    assert callable(wanted)
    taken = []
    while lines and wanted(lines[0]):
        taken.append(lines.pop(0))
    return taken


def _code(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines.pop()
    return [".PP", ".RS 4", ".nf", *(_guarded(_escaped(line)) for line in lines), ".fi", ".RE"]


def _rows(lines: list[str]) -> list[str]:
    """A table: each row is a term, what the last column says, and before it the other columns with their heads."""
    heads, _, *rows = [
        [cell.replace("\0", "|").strip() for cell in line.replace(r"\|", "\0").strip().strip("|").split("|")]
        for line in lines
    ]
    made = []
    for row in rows:
        first, *others = row
        said = [f"{head}: {cell}." for head, cell in zip(heads[1:-1], others, strict=False) if cell]
        made += [".TP", _guarded(_inline(first) or r"\&"), _text([*said, *others[-1:]]) or r"\&"]
    return made


def _text(lines: list[str]) -> str:
    return _guarded(_inline(" ".join(line.strip() for line in lines if line.strip())))


def _plain(text: str) -> str:
    return _escaped(re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", text)).replace('"', r"\(dq")


def _inline(text: str) -> str:
    """Code and emphasis as fonts; of links what is shown, and addresses of other servers."""
    made = []
    # What a link shows may be code.
    link = r"\[((?:`[^`]*`|[^]`])*)\]\(([^)\s]+)\)"
    text = re.sub(link, lambda found: f"{found[1]} ({found[2]})" if ":" in found[2] else found[1], text)
    for piece in re.split(r"(`+[^`]+`+)", text.replace("\0", "|")):
        if piece.startswith("`"):
            made.append(rf"\fB{_escaped(piece.strip('`'))}\fP")
            continue
        piece = re.sub(r"\\([|*_<>])", r"\1", piece)
        piece = _escaped(piece)
        piece = re.sub(r"\*\*([^*]+)\*\*", r"\\fB\1\\fP", piece)
        made.append(re.sub(r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])", r"\\fI\1\\fP", piece))
    return "".join(made)


def _escaped(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("\0", "|")
    return "".join(letter if letter.isascii() else rf"\[u{ord(letter):04X}]" for letter in text)


def _guarded(line: str) -> str:
    """A line that no macro begins."""
    return rf"\&{line}" if line.startswith((".", "'")) else line


# Where pages are


def rendered(called: str) -> str:
    """A page in troff's form, made now; "" where its source is not here."""
    text = markdown(called)
    at_s = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return troff(pages()[called], text, time.strftime("%Y-%m-%d", time.gmtime(at_s))) if text else ""


def write(folder: Path) -> list[tuple[str, list[str]]]:
    """Write all pages below a folder; returns what setuptools calls data_files."""
    written: dict[str, list[str]] = {}
    for called, page in pages().items():
        path = folder / page.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered(called), encoding="ascii")
        written.setdefault(f"share/{Path(page.path).parent}", []).append(str(path))
    return sorted(written.items())


def show(called: str) -> int:
    """Show a page by man(1) on a terminal, else print it; returns the exit code. Raises FastdnsError."""
    known = pages()
    if called not in known:
        raise FastdnsError(f"no page {called!r} in the manual: one of {', '.join(known)} expected")
    text = rendered(called)
    if not text:
        installed = Path(sys.prefix) / "share" / known[called].path
        if not installed.exists():
            raise FastdnsError(f"{installed}: no such file; the page comes with the wheel")
        text = installed.read_text(encoding="ascii")
    if sys.stdout.isatty() and shutil.which("man"):
        return subprocess.run(["man", "-l", "-"], input=text, text=True).returncode
    print(text, end="")
    return 0


if __name__ == "__main__":
    write(Path(sys.argv[1]))
