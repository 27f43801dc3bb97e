"""docs/reference/extended-errors.md lists each reason that a client is told, of the server and of each plugin.

``FASTDNS_WRITE_DOCS=1 pytest tests/docs/test_extended_errors.py`` writes its table.
"""

from __future__ import annotations

import os
import re

import dns.edns
import pytest

from fastdns.metrics.reasons import OWN, Reason
from fastdns.plugins.order import ORDER, is_available, load
from tests.docs.fences import ROOT

PAGE = ROOT / "docs" / "reference" / "extended-errors.md"
TITLE = "| reason | reply | code | | of |\n| --- | --- | --- | --- | --- |\n"
# Replies that say all, or of which nothing more is known.
SILENT = {"edns_version", "malformed", "not_implemented", "plugin"}


def words(code: int) -> str:
    """The name of a code, as RFC 8914 has it."""
    return dns.edns.EDECode(code).name.replace("_", " ").title().replace("Of", "of")


def reasons() -> dict[str, tuple[Reason, ...]]:
    """By plugin; "" are the server's own."""
    found = {"": tuple(OWN)}
    for name in ORDER:
        if is_available(name):
            found[name] = tuple(load(name).reasons)
    return found


def table() -> str:
    """The rows of the page."""
    rows: dict[tuple[str, str, int], list[str]] = {}
    for plugin, all_of_it in reasons().items():
        for one in all_of_it:
            if one.ede is not None:
                of = rows.setdefault((one.name, one.reply, one.ede), [])
                of.append(f"*{plugin}*" if plugin else "the server")
    return "".join(
        f"| `{name}` | {reply} | {code} | {words(code)} | {', '.join(of)} |\n"
        for (name, reply, code), of in rows.items()
    )


def test_the_page_lists_every_reason() -> None:
    text = PAGE.read_text()
    written = re.sub(f"(?<={re.escape(TITLE)})(?:\\|.*\n)*", lambda _: table(), text)
    if os.environ.get("FASTDNS_WRITE_DOCS"):
        PAGE.write_text(written)
    assert PAGE.read_text() == written


@pytest.mark.parametrize("plugin", reasons())
def test_each_failure_has_a_code_or_says_all(plugin: str) -> None:
    for one in reasons()[plugin]:
        if one.reply not in ("", "none"):
            assert one.ede is not None or one.name in SILENT, one
            # What is beyond is cut: see EXPLAINED_BYTES.
            assert len(one.name) <= 32
