"""Where search paths come from, and what is said where they cannot be had."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.corefile.mistakes import Mistakes
from fastdns.errors import CorefileError, FastdnsError
from fastdns.plugins.api import Check
from fastdns.plugins.autopath.config import Config
from fastdns.plugins.autopath.plugin import plugin
from fastdns.skipped import SkippedLines


def block_of(text: str, keys: str = "a.test b.test"):
    return load(f"{keys} {{\n{text}\nwhoami\n}}", environ={})


def look(text: str) -> list[str]:
    """What the check warns of."""
    check = Check(block_of(text), SkippedLines(), Mistakes())
    plugin.check(check)
    return check.warnings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("autopath resolv.conf", Config(("a.test.", "b.test."), file="resolv.conf")),
        ("autopath @kubernetes", Config(("a.test.", "b.test."), plugin="kubernetes")),
        ("autopath c.test 10.0.0.0/8 @kubernetes", Config(("c.test.", "10.in-addr.arpa."), plugin="kubernetes")),
        ("autopath c.test one\nautopath two", Config(("a.test.", "b.test."), file="two")),
    ],
)
def test_options(text: str, expected: Config) -> None:
    assert block_of(text).blocks[0].plugins["autopath"] == expected


@pytest.mark.parametrize("text", ["autopath", "autopath a..b file", "autopath file {\nttl 5\n}"])
def test_mistakes(text: str) -> None:
    with pytest.raises(CorefileError, match="autopath"):
        block_of(text)


def test_whose_search_paths_may_be_used() -> None:
    """As in CoreDNS: of kubernetes and of erratic. That of erratic was an error."""
    assert look("autopath @erratic\nerratic") == []
    assert look("autopath @erratic") == [
        "plugin/autopath: the block at Corefile:1 has no plugin erratic: no name is completed"
    ]
    with pytest.raises(FastdnsError, match="whoami does not know the search paths of clients"):
        look("autopath @whoami")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    with pytest.raises(FastdnsError, match=r"autopath: Corefile:2 .*failed to parse '.*resolv.conf': No such file"):
        look(f"autopath {path}")
    path.write_text("search a..b\n")
    with pytest.raises(FastdnsError, match=r"failed to parse .*: line 1: 'a..b' is not a domain name"):
        look(f"autopath {path}")
    path.write_text("search c.test\n")
    assert look(f"autopath {path}") == []


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """check, a start and a reload stood still until somebody wrote into it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FastdnsError, match=r"failed to parse '.*pipe': it is a pipe"):
        look(f"autopath {pipe}")


def test_plugins() -> None:
    assert look("autopath @kubernetes\nkubernetes") == []
    assert look("autopath @kubernetes") == [
        "plugin/autopath: the block at Corefile:1 has no plugin kubernetes: no name is completed"
    ]
    with pytest.raises(FastdnsError, match=r"autopath: Corefile:2 .*whoami does not know the search paths"):
        look("autopath @whoami")


@pytest.mark.parametrize(("pods", "warned"), [("verified", False), ("insecure", True), ("disabled", True)])
def test_pods_must_be_known(pods: str, warned: bool) -> None:
    config = block_of(f"autopath @kubernetes\nkubernetes {{\npods {pods}\n}}")
    assert any("only with pods verified" in one for one in config.warnings) == warned
    assert config.blocks[0].plugins["kubernetes"].searched
    assert not block_of("kubernetes {\npods verified\n}").blocks[0].plugins["kubernetes"].searched
