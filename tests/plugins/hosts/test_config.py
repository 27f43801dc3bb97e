"""Every option of hosts: what it becomes, and what it refuses, with the place of the mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastdns.corefile import load
from tests.corefile.test_plugin_options import Bad, Case, bad, good

DEFAULTS: dict[str, Any] = {
    "path": "/etc/hosts", "inline": (), "zones": (".",), "ttl_s": 3600, "reload_s": 5.0, "no_reverse": False,
    "fallthrough": None, "fallthrough_unsupported": False,
}  # fmt: skip

GOOD = [
    Case("hosts", DEFAULTS, why="defaults"),
    Case("hosts {;}", DEFAULTS, why="an empty block"),
    Case("hosts /tmp", {"path": "/tmp"}, why="a directory, for now"),
    Case("hosts /etc/hosts miek.nl. pun.gent.", {"zones": ("miek.nl.", "pun.gent.")}, why="zones"),
    Case("hosts /etc/hosts", {"zones": ("a.", "b.")}, zones="a b", why="the zones of the block"),
    Case("hosts /etc/hosts miek.nl 10.0.0.9/8", {"zones": ("miek.nl.", "10.in-addr.arpa.")}, why="a network"),
    Case("root /a;hosts b/c", {"path": "/a/b/c"}, why="a file below root"),
    Case("root /a;hosts /b", {"path": "/b"}, why="an absolute file"),
    Case("root /a;hosts", {"path": "/etc/hosts"}, why="the default is not below root"),
    Case("hosts {;ttl 1;}", {"ttl_s": 1}, why="the shortest TTL"),
    Case("hosts {;ttl 65535;}", {"ttl_s": 65535}, why="the longest TTL"),
    Case("hosts {;reload 0;}", {"reload_s": 0.0}, why="no reload"),
    Case("hosts {;reload 2h45m;}", {"reload_s": 9900.0}, why="a reload time"),
    Case("hosts {;no_reverse;}", {"no_reverse": True}, why="no reverse names"),
    Case("hosts {;fallthrough;}", {"fallthrough": (".",)}, why="fallthrough everywhere"),
    Case("hosts {;fallthrough a ip6.arpa;}", {"fallthrough": ("a.", "ip6.arpa.")}, why="and in zones"),
    Case(
        "hosts {;fallthrough_unsupported;fallthrough a;}",
        {"fallthrough_unsupported": True, "fallthrough": ("a.",)},
        why="fallthrough_unsupported before fallthrough",
    ),
    Case(
        "hosts {;10.0.0.1 a.test b.test;::1 c;fallthrough;}",
        {"inline": ("10.0.0.1 a.test b.test", "::1 c"), "fallthrough": (".",)}, why="lines of a hosts file",
    ),
    Case("hosts f {;anything goes;}", {"inline": ("anything goes",)}, why="any line before fallthrough is one"),
    Case("hosts {;10.0.0.1 a.test };", {"inline": ("10.0.0.1 a.test",)}, why="a brace behind a line"),
    Case("hosts {;10.0.0.1 a;fallthrough };", {"fallthrough": (".",)}, why="a brace behind fallthrough"),
]  # fmt: skip

BAD = [
    Bad("hosts;hosts", "only once", line=3, why="twice in a block"),
    Bad("hosts {;fallthrough;10.0.0.1 a;}", "unknown option '10.0.0.1'", line=4, why="a line behind fallthrough"),
    Bad("hosts {;fallthrough_unsupported;}", "requires fallthrough", line=4, why="fallthrough_unsupported alone"),
    Bad("hosts {;fallthrough;fallthrough_unsupported a;}", "no argument", line=4, why="and with a zone"),
    Bad("hosts {;ttl;}", "one argument", line=3, why="ttl without a number"),
    Bad("hosts {;ttl 0;}", "from 1 to 65535", line=3, why="ttl 0"),
    Bad("hosts {;ttl 65536;}", "from 1 to 65535", line=3, why="a TTL that is too long"),
    Bad("hosts {;ttl 1h;}", "from 1 to 65535", line=3, why="a TTL with a unit"),
    Bad("hosts {;reload;}", "one argument", line=3, why="reload without a time"),
    Bad("hosts {;reload 5;}", "no duration", line=3, why="reload without a unit"),
    Bad("hosts {;reload -5s;}", "at least 0s", line=3, why="a negative time"),
    Bad("hosts {;no_reverse x;}", "no argument", line=3, why="no_reverse with an argument"),
    Bad("hosts /etc/hosts a..b", "not a valid domain name", why="a bad zone"),
    Bad("hosts /etc/passwd/x", "unable to access hosts file '/etc/passwd/x'", why="a file below a file"),
]  # fmt: skip


@pytest.mark.parametrize("case", GOOD, ids=[case.why for case in GOOD])
def test_good_options(case: Case) -> None:
    good(case, "hosts")


@pytest.mark.parametrize("case", BAD, ids=[case.why for case in BAD])
def test_bad_options(case: Bad) -> None:
    bad(case, "hosts")


def test_a_file_that_is_missing_is_mentioned(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    files = {"a": tmp_path / "none", "b": tmp_path, "c": tmp_path / "there"}
    config = load("".join(f"{zone}:53 {{\nhosts {file}\n}}\n" for zone, file in files.items()), "Corefile")
    assert list(config.warnings) == [
        f"plugin/hosts: File does not exist: {tmp_path}/none",
        f'plugin/hosts: Hosts file "{tmp_path}" is a directory',
    ]


def test_a_line_that_is_no_option_and_no_line_of_a_hosts_file_is_mentioned() -> None:
    """Only the running server said so, without the line: check did not see an option that is spelt wrong."""
    lines = ("tll 60", "10.0.0.1", "10.0.0.1 a.test", "fe80::1%eth0 b.test")
    config = load(". {\nhosts {\n" + "\n".join(lines) + "\n}\n}\n", "Corefile")
    assert list(config.warnings) == [
        "plugin/hosts: Corefile:3 - 'tll 60' is no option and no line of a hosts file: it is skipped",
        "plugin/hosts: Corefile:4 - '10.0.0.1' is no option and no line of a hosts file: it is skipped",
    ]
