"""Plugins of other packages: installed beside fastdns, found by their entry points, served as any other.

tests/plugins/example is such a package. docs/writing-plugins.md walks through it: its listings are these files.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dns.rcode
import pytest

from fastdns.corefile import load
from fastdns.corefile.mistakes import Mistakes
from fastdns.errors import CorefileError
from fastdns.plugins import order
from fastdns.plugins.api import Plugin
from tests.support import ROOT, WEB, Server, free_port, http_get

EXAMPLE = ROOT / "tests" / "plugins" / "example"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the package as pip installs it."""
    folder = tmp_path_factory.mktemp("installed")
    source = tmp_path_factory.mktemp("source")
    subprocess.run(["cp", "-r", f"{EXAMPLE}/.", source], check=True)
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    offline = ["--no-index", "--no-build-isolation", "--no-deps"]
    subprocess.run([*command, *offline, "--target", folder, source], check=True)
    return folder


def test_it_is_installed_and_serves(tmp_path: Path, installed: Path) -> None:
    corefile = (
        ".:DNS_PORT {\nbind 127.0.0.1\nprometheus 127.0.0.1:METRICS_PORT\n"
        "greeting hello 127.0.0.1:OTHER_PORT\nhealth 127.0.0.1:HEALTH_PORT\nwhoami\n}\n"
    )
    with Server(tmp_path, corefile, environ={"PYTHONPATH": str(installed)}) as server:
        port = server.ports["OTHER_PORT"]
        assert http_get(port, "/greeting") == (200, "hello")
        assert http_get(port, "/greeting") == (200, "hello")
        assert server.total("greeting_requests_total") == 2
        server.write_corefile(corefile.replace("hello", '"good morning"'))
        server.reload()
        assert http_get(port, "/greeting") == (200, "good morning")
        assert server.total("greeting_requests_total") == 3, "its part of the supervisor stays"


def test_its_step_in_python_answers(tmp_path: Path, installed: Path) -> None:
    """Over UDP and TCP, before and after a reload."""
    (tmp_path / "Corefile").write_text(f".:{free_port()} {{\nastext 60\nwhoami\n}}\n")
    checked = subprocess.run(
        [sys.executable, "-m", "fastdns", "check"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    corefile = (
        ".:DNS_PORT {\nbind 127.0.0.1\nprometheus 127.0.0.1:METRICS_PORT\nastext\n"
        'kubernetes cluster.local {\nmanifests "MANIFESTS"\n}\n}\n'
    )
    with Server(tmp_path, corefile, environ={"PYTHONPATH": str(installed)}) as server:
        for ttl_s in (30, 60):
            for tcp in (False, True):
                (rrset,) = server.query(WEB, "TXT", tcp=tcp).answer
                assert str(rrset) == f'{WEB} {ttl_s} IN TXT "10.96.0.20"'
                assert server.query(f"x{WEB}", "TXT", tcp=tcp).rcode() == dns.rcode.NXDOMAIN
                assert server.addresses(WEB, tcp=tcp) == ["10.96.0.20"], "the next plugin's"
            server.write_corefile(corefile.replace("astext", "astext 60"))
            server.reload(1 if ttl_s == 30 else 2)
        assert server.total("fastdns_python_step_queries_total", plugin="astext", result="answer") == 8
        assert server.total("fastdns_python_step_queries_total", plugin="astext", result="next") == 4 + 8


WRAPPED = """\
from fastdns.plugins.api import Plugin
from fastdns.plugins.python import PythonStep

class Short(PythonStep):
{serve}

class ShortPlugin(Plugin):
    name = "short"
    before = "cache"
    def parse(self, tokens, context):
        for _ in tokens.occurrences():
            pass
    def python_step(self, config, block, runtime):
        return Short()

plugin = ShortPlugin()
"""


def test_what_the_page_says_of_replies_that_are_changed(tmp_path: Path) -> None:
    """The function on the page, in a plugin."""
    page = (ROOT / "docs" / "writing-plugins.md").read_text()
    (serve,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    packages = tmp_path / "packages"
    info = packages / "short-1.dist-info"
    info.mkdir(parents=True)
    (packages / "short_plugin.py").write_text(WRAPPED.format(serve=textwrap.indent(serve, "    ")))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: short\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[fastdns.plugins]\nshort = short_plugin:plugin\n")
    corefile = (
        '.:DNS_PORT {\nbind 127.0.0.1\nshort\nkubernetes cluster.local {\nmanifests "MANIFESTS"\nttl 30\n}\n}\n'
    )
    with Server(tmp_path, corefile, environ={"PYTHONPATH": str(packages)}) as server:
        for tcp in (False, True):
            assert [rrset.ttl for rrset in server.query(WEB, tcp=tcp).answer] == [10]


@pytest.mark.parametrize(
    ("directive", "says"),
    [
        ("greeting", "plugin/greeting: Corefile:2 - Error during parsing: wrong argument count or end of line"),
        ("astext 1d", "plugin/astext: Corefile:2 - Error during parsing: the TTL in seconds"),
        ("greeting hello 99", "plugin/greeting: Corefile:2 - Error during parsing: '99' is no address"),
        ("greeting a\ngreeting b", "Corefile:3 - Error during parsing: greeting may be used only once"),
        ("greetings", "Corefile:2 - Error during parsing: unknown directive 'greetings'; did you mean 'greeting'?"),
    ],
)
def test_its_mistakes_have_their_place(tmp_path: Path, installed: Path, directive: str, says: str) -> None:
    (tmp_path / "Corefile").write_text(f".:{free_port()} {{\n{directive}\n}}\n")
    checked = subprocess.run(
        [sys.executable, "-m", "fastdns", "check"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )  # fmt: skip
    assert checked.returncode == 1
    assert says in checked.stderr


def test_a_page_that_nobody_answers(tmp_path: Path, installed: Path) -> None:
    """The start ends with an error that names it, not with a traceback."""
    package = tmp_path / "packages"
    subprocess.run(["cp", "-r", f"{installed}/.", package], check=True)
    plugin = package / "greeting_plugin" / "plugin.py"
    plugin.write_text(plugin.read_text().replace('("/greeting",)', '("/welcome",)'))
    port = free_port()
    (tmp_path / "Corefile").write_text(f".:{port} {{\nbind 127.0.0.1\ngreeting hello 127.0.0.1:{free_port()}\n}}\n")
    ended = subprocess.run(
        [sys.executable, "-m", "fastdns"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": str(package)},
    )  # fmt: skip
    assert ended.returncode == 1
    assert "nobody answers /welcome, which is to be served at 127.0.0.1:" in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr + ended.stdout


class Good(Plugin):
    name = "good"
    before = "cache"

    def parse(self, tokens: Any, context: Any) -> str:
        for _ in tokens.occurrences():
            pass
        return "parsed"


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has the order find these objects under the name good."""

    def offer(thing: object) -> None:
        found = SimpleNamespace(thing=thing)
        monkeypatch.setitem(sys.modules, "offered_by_a_test", found)
        monkeypatch.setattr(order, "_order", list(order.ORDER))
        points = {"good": EntryPoint("good", "offered_by_a_test:thing", order.GROUP)}
        monkeypatch.setattr(order, "external", lambda: points)
        order.load.cache_clear()

    yield offer
    order.load.cache_clear()


@pytest.mark.parametrize(("field", "first"), [("before", "good"), ("after", "cache")])
def test_it_runs_where_it_says(offered: Any, field: str, first: str) -> None:
    thing = Good()
    thing.before = thing.after = ""
    setattr(thing, field, "cache")
    offered(thing)
    block = load(". {\nforward . 192.0.2.1\ngood\ncache\nerrors\n}\n", environ={}).blocks[0]
    names = list(block.plugins)
    assert block.plugins["good"] == "parsed"
    assert names == ["errors", *(["good", "cache"] if first == "good" else ["cache", "good"]), "forward"]


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        ("no plugin", "is 'no plugin'; expected a Plugin whose name is 'good'"),
        (type("Other", (Good,), {"name": "other"})(), "expected a Plugin whose name is 'good'"),
        (type("Nowhere", (Good,), {"before": ""})(), "expected the name of a plugin in before or after, got ''"),
        (type("Both", (Good,), {"after": "log"})(), "expected the name of a plugin in before or after"),
        (type("Unknown", (Good,), {"before": "nobody"})(), "in before or after, got 'nobody'"),
        (type("Silent", (Plugin,), {"name": "good", "before": "cache"})(), "it has no parse"),
        (
            type("Twice", (Good,), {"step": print, "python_step": print})(),
            "it has step and python_step; expected one of them",
        ),
        (type("Needy", (Good,), {"needs": ("nobody",)})(), "it needs the plugin 'nobody', which there is not"),
    ],
    ids=[
        "no plugin",
        "another name",
        "no place",
        "two places",
        "an unknown neighbour",
        "no parse",
        "two steps",
        "no such need",
    ],
)
def test_one_that_cannot_be_used(offered: Any, thing: object, says: str) -> None:
    """The error has the place of the directive, and reading goes on behind it."""
    offered(thing)
    mistakes = Mistakes(keep=True)
    with pytest.raises(CorefileError):
        load(". {\ngood\ncache x y z {\nnothing\n}\n}\n", environ={}, mistakes=mistakes)
    first, second = mistakes.found
    assert isinstance(first, CorefileError)
    assert (first.file, first.line, first.plugin) == ("Corefile", 2, "good")
    assert says in first.message
    assert "nothing" in str(second)


def test_one_whose_package_is_broken(offered: Any) -> None:
    offered(None)
    del sys.modules["offered_by_a_test"]
    with pytest.raises(CorefileError, match="cannot be loaded: ModuleNotFoundError"):
        load(". {\ngood\n}\n", environ={})
