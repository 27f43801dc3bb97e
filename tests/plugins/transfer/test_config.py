"""The options of transfer."""

from __future__ import annotations

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.file.config import Config as FileConfig
from fastdns.plugins.transfer.config import Config, Rule

ORG = ("example.org.",)


def parsed(text: str, key: str = "example.org") -> Config:
    config = load(f"{key} {{\n{text}\n}}", environ={}).blocks[0].plugins["transfer"]
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("transfer {\nto *\n}", [Rule(ORG, everybody=True)]),
        ("transfer {\nto 10.0.0.1\n}", [Rule(ORG, (("10.0.0.1", 53),))]),
        (
            "transfer {\nto 10.0.0.1:5300 ::1 [2001:db8::1]:54\n}",
            [Rule(ORG, (("10.0.0.1", 5300), ("::1", 53), ("2001:db8::1", 54)))],
        ),
        (
            "transfer a.test b.test {\nto 10.0.0.1\nto * 10.0.0.1\nsource 10.0.0.9\n}",
            [Rule(("a.test.", "b.test."), (("10.0.0.1", 53),), True, "10.0.0.9")],
        ),
        (
            "transfer a.test {\nto 10.0.0.1\n}\ntransfer {\nsource ::1\nto *\n}",
            [Rule(("a.test.",), (("10.0.0.1", 53),)), Rule(ORG, everybody=True, source="::1")],
        ),
    ],
)
def test_options(text: str, rules: list[Rule]) -> None:
    assert parsed(text).rules == tuple(rules)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("transfer", "2 - Error during parsing: 'to' is required"),
        ("transfer {\n}", "'to' is required"),
        ("transfer {\nsource 10.0.0.1\n}", "'to' is required"),
        ("transfer {\nto\n}", "3 - Error during parsing: wrong argument count"),
        ("transfer {\nto ns.example\n}", "3 - Error during parsing: must specify an IP address: 'ns.example'"),
        ("transfer {\nto 10.0.0.0/8\n}", "must specify an IP address: '10.0.0.0/8'"),
        ("transfer {\nto 10.0.0.1:x\n}", "the port of '10.0.0.1:x'"),
        ("transfer {\nto *\nsource\n}", "4 - Error during parsing: wrong argument count"),
        ("transfer {\nto *\nsource here\n}", "4 - Error during parsing: invalid source address 'here'"),
        ("transfer {\nto *\nsource 10.0.0.1\nsource 10.0.0.2\n}", "source already specified"),
        ("transfer {\nfrom *\n}", "3 - Error during parsing: unknown option 'from'; expected to or source"),
    ],
)
def test_mistakes_have_a_line(text: str, said: str) -> None:
    with pytest.raises(CorefileError) as caught:
        parsed(text)
    assert said in str(caught.value)


def test_zones_of_the_block_know_their_secondaries() -> None:
    """Whichever stands first in the Corefile."""
    config = load("example.org {\nfile db\ntransfer {\nto 10.0.0.1\n}\n}", environ={})
    file = config.blocks[0].plugins["file"]
    assert isinstance(file, FileConfig)
    assert file.secondaries == ((ORG, (("10.0.0.1", 53),), ""),)
