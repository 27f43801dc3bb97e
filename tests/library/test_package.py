"""The package's public names: imported when they are used, described on a page whose examples run."""

from __future__ import annotations

import ast
import doctest
import re
import subprocess
import sys

import pytest

import fastdns
from tests.bench.servers import udp
from tests.docs.fences import ROOT

PAGE = ROOT / "docs/reference/library.md"


def test_importing_the_package_imports_nothing_else() -> None:
    """A server would pay for it in time and memory."""
    code = "import sys; before = set(sys.modules); import fastdns; print(sorted(set(sys.modules) - before))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert ended.stdout == "['fastdns']\n", ended.stderr


def test_a_server_imports_nothing_of_the_library() -> None:
    code = (
        "import sys, fastdns.cli, fastdns.process.supervisor;"
        "print([name for name in sys.modules if name.startswith(('fastdns.library', 'fastdns.bench'))])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert ended.stdout == "[]\n", ended.stderr


@pytest.mark.parametrize("name", fastdns.PUBLIC)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(fastdns, name) is not None
    assert name in dir(fastdns) and name in fastdns.__all__


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="module 'fastdns' has no attribute 'nothing'"):
        fastdns.nothing  # noqa: B018


def test_the_stub_has_the_same_names() -> None:
    stub = ast.parse((ROOT / "src/fastdns/__init__.pyi").read_text())
    names = {one.asname for part in stub.body if isinstance(part, ast.ImportFrom) for one in part.names}
    assert names == set(fastdns.PUBLIC)
    listed = next(part.value for part in stub.body if isinstance(part, ast.Assign))
    assert set(ast.literal_eval(listed)) == set(fastdns.__all__)


def test_the_page_has_every_name() -> None:
    rows = set(re.findall(r"^\| `(\w+)", PAGE.read_text(), re.MULTILINE))
    assert rows <= set(fastdns.PUBLIC)
    assert all(re.search(rf"`{name}[`(]", PAGE.read_text()) for name in fastdns.PUBLIC)


def test_the_examples_of_the_page_run() -> None:
    # What is behind a fence is none of an example's output.
    text = re.sub(r"^```.*$", "", PAGE.read_text(), flags=re.MULTILINE)
    with udp() as port:
        text = text.replace("port=1053", f"port={port}")
        test = doctest.DocTestParser().get_doctest(text, {}, "library", None, 0)
        said: list[str] = []
        results = doctest.DocTestRunner().run(test, out=said.append)
    assert results.attempted > 12
    assert results.failed == 0, "".join(said)
