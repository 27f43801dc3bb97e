"""The manual: pages are made of commands, parsers and READMEs; man(1) and mandoc take them without a warning."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fastdns import manual
from fastdns.cli import main
from fastdns.commands import COMMANDS, ENVIRONMENT, SERVE, flag_text
from fastdns.plugins.order import available

PAGES = manual.pages()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manual")
    manual.write(folder)
    return folder


def test_each_plugin_has_a_page() -> None:
    assert set(PAGES) == {"fastdns", "bench", "cluster", "corefile", *available()}


def test_pages_go_where_man_looks(tmp_path: Path) -> None:
    found = dict(manual.write(tmp_path))
    assert list(found) == ["share/man/man1", "share/man/man5", "share/man/man7"]
    assert found["share/man/man5"] == [str(tmp_path / "man/man5/corefile.5")]
    assert sum(map(len, found.values())) == len(PAGES)


@pytest.mark.skipif(not shutil.which("man") or not shutil.which("groff"), reason="no man or groff")
def test_man_shows_them_without_a_warning(written: Path) -> None:
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100"}
    paths = [str(written / page.path) for page in PAGES.values()]
    ended = subprocess.run(["man", "--warnings", "-l", *paths], env=environ, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr.decode()) == (0, "")
    assert ended.stdout.decode().count("\n\nNAME\n") == len(PAGES)


@pytest.mark.skipif(not shutil.which("mandoc"), reason="no mandoc")
def test_mandoc_finds_nothing_wrong(written: Path) -> None:
    paths = [str(written / page.path) for page in PAGES.values()]
    command = ["mandoc", "-T", "lint", "-W", "warning", *paths]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_fastdns_has_each_command_flag_and_variable() -> None:
    text = manual.markdown("fastdns")
    for command in (SERVE, *COMMANDS):
        assert f"    {command.synopsis}\n" in text
        assert all(f"| `{flag_text(flag)}` | {flag.help} |" in text for flag in command.flags)
    assert all(f"| `{name}` |" in text for name, _, _ in ENVIRONMENT)


@pytest.mark.parametrize("called", ["bench", "cluster"])
def test_benches_have_each_option(called: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = manual.markdown(called)
    assert main(["bench", *([called] if called == "cluster" else []), "-h"]) == 0
    options = re.findall(r"^  (-\S+)", capsys.readouterr().out, re.MULTILINE)
    assert len(options) > 10
    assert all(re.search(rf"`[^`]*{re.escape(option.rstrip(','))}\b", text) for option in options)


MARKDOWN = """\
# example

Text with `a-b\\c`, *emphasis*, **strength**, a [`link`](there.md#x) and [another](https://example.org/).

## A `title`

.begins with a dot

* one
  goes on
- two
1. three

| what | default | meaning |
| --- | --- | --- |
| `a\\|b` | 5 | said – so |
| c | | more |

    code \\ 'here

```sh file=x
'echo
```
"""
TROFF = r""".TH "EXAMPLE" "7" "2026-01-02" "fastdns VERSION" "fastdns"
.PP
Text with \fBa\-b\ec\fP, \fIemphasis\fP, \fBstrength\fP, a \fBlink\fP and another (https://example.org/).
.SH "A TITLE"
\&.begins with a dot
.IP "\(bu" 2
one goes on
.IP "\(bu" 2
two
.IP "1." 3
three
.TP
\fBa|b\fP
default: 5. said \[u2013] so
.TP
c
more
.PP
.RS 4
.nf
code \e 'here
.fi
.RE
.PP
.RS 4
.nf
\&'echo
.fi
.RE
"""


def test_markdown_becomes_troff() -> None:
    made = manual.troff(manual.Page("example", 7), MARKDOWN, "2026-01-02")
    assert made == TROFF.replace("VERSION", manual.__version__)


def test_the_date_may_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert '"1970-01-02"' in manual.rendered("any").splitlines()[0]


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert main(["man"]) == 0
    assert capsys.readouterr().out.startswith('.TH "FASTDNS" "1"')
    assert main(["man", "nothing"]) == 1
    assert "no page 'nothing' in the manual: one of fastdns, bench," in capsys.readouterr().err
    assert main(["man", "a", "b"]) == 1
    # The package has no docs/: the page that the wheel has installed is shown.
    monkeypatch.setattr(manual, "COREFILE", tmp_path / "absent")
    monkeypatch.setattr(manual.sys, "prefix", str(tmp_path))
    assert main(["man", "corefile"]) == 1
    assert "the page comes with the wheel" in capsys.readouterr().err
    (tmp_path / "share/man/man5").mkdir(parents=True)
    (tmp_path / "share/man/man5/corefile.5").write_text("the page\n")
    assert main(["man", "corefile"]) == 0
    assert "the page\n" in capsys.readouterr().out
