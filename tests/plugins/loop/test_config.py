"""loop has no options; where it stands decides in which zone probes are asked."""

from __future__ import annotations

import pytest

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.parser import parse as parse_text
from fastdns.errors import CorefileError
from fastdns.plugins.loop.config import Config, parse


def config_of(text: str, zones: tuple[str, ...] = (".",)) -> Config:
    """The configuration of a block's directives, by ``;`` instead of newlines."""
    block = parse_text(". {\n" + text.replace(";", "\n") + "\n}\n", "Corefile", {}, ("loop",)).blocks[0]
    return parse(Dispenser("loop", block.directives["loop"], "Corefile"), BlockContext(zones, "Corefile"))


@pytest.mark.parametrize(
    ("zones", "zone"),
    [
        ((".",), "."),
        (("a.example.", "b.example."), "a.example."),
        (("10.in-addr.arpa.", "."), "10.in-addr.arpa."),
        ((), "."),
    ],
)
def test_the_first_zone_is_probed(zones: tuple[str, ...], zone: str) -> None:
    assert config_of("loop", zones) == Config(zone)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("loop .", 2, "expected no argument"),
        ("loop;loop", 3, "only once"),
        ("loop {;}", 2, "loop takes no options"),
    ],
)
def test_mistakes(text: str, line: int, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        config_of(text)
    assert message in caught.value.message
    assert str(caught.value).startswith(f"plugin/loop: Corefile:{line} - Error during parsing: ")
