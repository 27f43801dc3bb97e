"""The chaos step without a server, and its options."""

from __future__ import annotations

import dns.message
import pytest

from fastdns import __version__
from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.chaos._step import ChaosStep
from fastdns.plugins.chaos.config import Config
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

pytestmark = pytest.mark.native


def said(step: ChaosStep, qname: str) -> list[bytes]:
    """The texts of an answer, each as bytes."""
    worker = Worker(ServerTable([(".", 0, None)], [[step]], None, True))
    raw = worker.serve(dns.message.make_query(qname, "TXT", "CH").to_wire(), tcp=True)
    assert raw is not None
    return [text for rrset in dns.message.from_wire(raw).answer for data in rrset for text in data.strings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", b""), ("x" * 255, b"x" * 255), ("x" * 300, b"x" * 255), ("é\\065", "é\\065".encode())],
    ids=["empty", "the longest", "too long", "no escapes"],
)
def test_texts(text: str, expected: bytes) -> None:
    assert said(ChaosStep({"version.bind.": [text]}), "version.bind.") == [expected]


def test_authors_that_do_not_fit_are_left_out() -> None:
    authors = [f"{number:0>250}" for number in range(1000)]
    assert 200 < len(said(ChaosStep({"authors.bind.": authors}), "authors.bind.")) < 1000


def options(text: str) -> Config:
    config = load(f". {{\n{text}\n}}", environ={})
    assert config.blocks[0].settings.every_class
    return config.blocks[0].plugins["chaos"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chaos", Config(f"fastdns-{__version__}", ("the fastdns authors",))),
        ("chaos v1", Config("v1", ("the fastdns authors",))),
        ("chaos v1 b a b", Config("v1", ("a", "b"))),
        ("chaos v1 {\n}", Config("v1", ("the fastdns authors",))),
        ("chaos v1\nchaos v2", Config("v1", ("the fastdns authors",))),
    ],
)
def test_options(text: str, expected: Config) -> None:
    assert options(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chaos {\nversion 1\n}", "Corefile:3 - Error during parsing: unknown option 'version'"),
        ("chaos v1 " + " ".join(map(str, range(1001))), "Corefile:2 - Error during parsing: at most 1000 authors"),
    ],
)
def test_errors(text: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        load(f". {{\n{text}\n}}", environ={})
