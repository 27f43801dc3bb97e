"""The options of file."""

from __future__ import annotations

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.file.config import Config, ZoneFile


def parsed(text: str, key: str = "example.org") -> Config:
    config = load(f"{key} {{\n{text}\n}}", environ={}).blocks[0].plugins["file"]
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file db", Config((ZoneFile("example.org.", "db"),))),
        ("root /srv\nfile db", Config((ZoneFile("example.org.", "/srv/db"),))),
        ("root /srv\nfile /etc/db", Config((ZoneFile("example.org.", "/etc/db"),))),
        ("file db a.test b.test", Config((ZoneFile("a.test.", "db"), ZoneFile("b.test.", "db")))),
        (
            "file db 10.0.0.0/15",
            Config((ZoneFile("0.10.in-addr.arpa.", "db"), ZoneFile("1.10.in-addr.arpa.", "db"))),
        ),
        ("file db {\nreload 30s\n}", Config((ZoneFile("example.org.", "db", 30.0),))),
        ("file db {\nreload 0\n}", Config((ZoneFile("example.org.", "db", 0.0),))),
        ("file db {\nreload_by_mtime\n}", Config((ZoneFile("example.org.", "db", 60.0, True),))),
        ("file db {\nfallthrough\n}", Config((ZoneFile("example.org.", "db"),), (".",))),
        ("file db {\nfallthrough a.test\n}", Config((ZoneFile("example.org.", "db"),), ("a.test.",))),
        ("file db {\nupstream 8.8.8.8\n}", Config((ZoneFile("example.org.", "db"),))),
        # As CoreDNS reads them: what a directive says also holds behind it; the last file of a zone counts.
        (
            "file one a.test\nfile two b.test {\nreload 5s\n}\nfile three c.test",
            Config(
                (ZoneFile("a.test.", "one"), ZoneFile("b.test.", "two", 5.0), ZoneFile("c.test.", "three", 5.0))
            ),
        ),
        ("file one\nfile two", Config((ZoneFile("example.org.", "two"),))),
    ],
)  # fmt: skip
def test_options(text: str, expected: Config) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file", "2 - Error during parsing: wrong argument count"),
        ("file db {\nreload\n}", "3 - Error during parsing: wrong argument count"),
        ("file db {\nreload soon\n}", "3 - Error during parsing: reload: 'soon' is no duration"),
        ("file db {\nreload -1s\n}", "3 - Error during parsing: reload must be at least 0s"),
        ("file db {\nreload_by_mtime yes\n}", "3 - Error during parsing: wrong argument count"),
        (
            "file db {\nfallthru\n}",
            "3 - Error during parsing: unknown option 'fallthru'; did you mean 'fallthrough'?",
        ),
        ("file db a..b", "2 - Error during parsing:"),
    ],
)
def test_mistakes(text: str, said: str) -> None:
    with pytest.raises(CorefileError) as raised:
        parsed(text)
    assert f"plugin/file: Corefile:{said}" in str(raised.value), raised.value


def test_an_option_that_does_nothing_is_said() -> None:
    config = load("example.org {\nfile db {\nupstream\n}\n}", environ={})
    assert config.warnings == (
        "plugin/file: upstream does nothing: names elsewhere are looked up through the server itself",
    )
