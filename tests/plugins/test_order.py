"""The order of plugins, and what may be imported first: packages with plugins begin with any module."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fastdns.corefile import load
from fastdns.plugins import order
from tests.reading import ROOT, modules

# Each in a process of its own, forked from one that has imported nothing.
PROGRAM = """
import os, sys
for module in sys.argv[1:]:
    if os.fork() == 0:
        try:
            __import__(module)
        except ImportError as error:
            # Of extras, which are not installed everywhere.
            if error.name not in ("acme", "qh3"):
                print(module, error, flush=True)
        os._exit(0)
    os.wait()
"""


def test_each_module_may_be_imported_first() -> None:
    names = sorted(modules(ROOT / "src", "fastdns"))
    plain = [name for name in names if not name.rpartition(".")[2].startswith("_") and ".bench" not in name]
    assert "fastdns.plugins.api" in plain
    said = subprocess.run([sys.executable, "-c", PROGRAM, *plain], capture_output=True, text=True, check=True)
    assert said.stdout == ""


def test_each_comes_after_what_it_needs() -> None:
    config = load(". {\nloop\nwhoami\nready\nerrors\n}", environ={})
    assert [plugin.name for plugin in order.named(config)] == ["ready", "errors", "loop", "whoami"]
    names = [plugin.name for plugin in order.used(config)]
    assert names.index("forward") < names.index("loop")
    assert sorted(names) == ["errors", "forward", "health", "loop", "ready", "whoami"]


@pytest.mark.parametrize("name", order.available())
def test_a_plugin_has_the_name_of_its_folder(name: str) -> None:
    plugin = order.load(name)
    assert plugin.name == name
    assert set(plugin.needs) <= set(order.ORDER)
    assert type(plugin).__module__ == f"fastdns.plugins.{name}.plugin"
