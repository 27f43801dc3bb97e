"""The options of auto, and which zones file names say."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.auto.config import Config, Directory
from fastdns.plugins.auto.scan import MAX_FILES, expand, origin_of, scan
from fastdns.regex import Regex

pytestmark = pytest.mark.native


def parsed(text: str) -> Config:
    config = load(f"example.org {{\n{text}\n}}", environ={}).blocks[0].plugins["auto"]
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto {\ndirectory /tmp\n}", Config(("example.org.",), Directory("/tmp"))),
        ("auto a.test b.test {\ndirectory /tmp\n}", Config(("a.test.", "b.test."), Directory("/tmp"))),
        ("auto 10.0.0.0/24 {\ndirectory /tmp\n}", Config(("0.0.10.in-addr.arpa.",), Directory("/tmp"))),
        ("root /tmp\nauto {\ndirectory .\n}", Config(("example.org.",), Directory("/tmp"))),
        ("auto {\ndirectory /tmp\nreload 0\n}", Config(("example.org.",), Directory("/tmp"), 0.0)),
        ("auto {\ndirectory /tmp (.*) bliep\n}", Config(("example.org.",), Directory("/tmp", "(.*)", "bliep"))),
        (
            r"auto {\ndirectory /tmp www\.db\.(.*) {1}.x\nreload 10s\n}".replace(r"\n", "\n"),
            Config(("example.org.",), Directory("/tmp", r"www\.db\.(.*)", "${1}.x"), 10.0),
        ),
        (
            "auto {\ndirectory /tmp\nfallthrough a.test\n}",
            Config(("example.org.",), Directory("/tmp"), 60.0, ("a.test.",)),
        ),
        ("auto {\ndirectory /tmp\nupstream\n}", Config(("example.org.",), Directory("/tmp"))),
        # As in CoreDNS, the later directive counts, option by option.
        (
            "auto a.test {\ndirectory /tmp\n}\nauto b.test {\nreload 5s\n}",
            Config(("b.test.",), Directory("/tmp"), 5.0),
        ),
        ("auto", Config(("example.org.",))),
    ],
)
def test_options(text: str, expected: Config) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("auto {\ndirectory\n}", "3 - Error during parsing: wrong argument count"),
        ("auto {\ndirectory /tmp (.*)\n}", "3 - Error during parsing: wrong argument count"),
        ("auto {\ndirectory /tmp (.*) bliep 10\n}", "3 - Error during parsing: wrong argument count"),
        ("auto {\ndirectory /tmp .* bliep\n}", "3 - Error during parsing: Need at least one sub expression"),
        ("auto {\ndirectory /tmp * {1}\n}", "3 - Error during parsing: error parsing regexp: missing arg"),
        (f"auto {{\ndirectory /tmp ({'a' * 10000}) x\n}}", "3 - Error during parsing: the regular expression is"),
        ("auto {\ndirectory /tmp\nreload -1s\n}", "4 - Error during parsing: reload must be at least 0s"),
        ("auto {\ndirectory /tmp\nno_reload\n}", "4 - Error during parsing: unknown option 'no_reload'"),
        ("auto {\ndirectory /etc/passwd/x\n}", "3 - Error during parsing: unable to access the directory"),
    ],
)
def test_mistakes(text: str, said: str) -> None:
    with pytest.raises(CorefileError) as raised:
        parsed(text)
    assert f"plugin/auto: Corefile:{said}" in str(raised.value), raised.value


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("${1}", "one"), ("$1", "one"), ("${1}.${2}", "one.two"), ("${name}", "two"), ("$name.x", "two.x"),
        ("${3}", ""), ("${9}", ""), ("$1x", ""), ("$$", "$"), ("${", "${"), ("a$", "a$"), ("${0}", "all"), ("", ""),
    ],
)  # fmt: skip
def test_templates_are_gos(template: str, expected: str) -> None:
    assert expand(template, [b"all", b"one", b"two", None], ("", "", "name", "")) == expected


@pytest.mark.parametrize(
    ("pattern", "template", "file", "origin"),
    [
        (r"db\.(.*)", "${1}", "db.example.org", "example.org."),
        (r"db\.(.*)", "${1}", "db.example.org.", "example.org."),
        (r"db\.(.*)", "${1}", "old.db.example.org", "example.org."),
        (r"db\.(.*)", "${1}", "example.org", None),
        (r"db\.(.*)", "${1}", "db.", None),
        (r"^(.*)\.zone$", "${1}", "example.org.zone", "example.org."),
        (r"^(.*)\.zone$", "${1}", "example.org.zone.bak", None),
        (r"(.*)@(.*)", "${2}.${1}", "b@a", "a.b."),
        (r"(?P<host>.*)@(?P<zone>.*)", "${zone}", "a@b.test", "b.test."),
        (r"db\.(.*)", "${zone}", "db.example.org", None),
    ],
)
def test_the_zone_of_a_file(pattern: str, template: str, file: str, origin: str | None) -> None:
    assert origin_of(Regex(pattern), template, file) == origin


def test_a_directory(tmp_path: Path) -> None:
    """Files of all directories below; a mounted ConfigMap's once; of several for one zone the first."""
    for name in ("db.a.test", "db.A.Test", "sub/deep/db.b.test", "..data/db.c.test", "other", "db.x..y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "db.c.test").symlink_to("..data/db.c.test")
    (tmp_path / "db.loop").symlink_to(".")
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    found = scan(Directory(str(link)))
    assert found is not None
    zones = {name: Path(file).relative_to(tmp_path.resolve()).as_posix() for name, file in found.zones.values()}
    assert zones == {"A.Test.": "db.A.Test", "c.test.": "db.c.test", "b.test.": "sub/deep/db.b.test"}
    assert len(found.problems) == 2
    assert "Multiple zone files match origin" in found.problems[0]
    assert "is not a domain name" in found.problems[1]
    assert scan(Directory(str(tmp_path / "missing"))) is None
    assert MAX_FILES == 100_000
