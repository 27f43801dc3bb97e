"""The options of secondary."""

from __future__ import annotations

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.secondary.config import Config, SecondaryZone

FROM = "transfer from 10.0.0.1"
ONE = (("10.0.0.1", 53),)


def parsed(text: str, key: str = "example.org") -> Config:
    config = load(f"{key} {{\n{text}\n}}", environ={}).blocks[0].plugins["secondary"]
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"secondary {{\n{FROM}\n}}", Config((SecondaryZone("example.org.", ONE),))),
        (
            f"secondary a.test b.test {{\n{FROM} [::1]:5300\nfallthrough\n}}",
            Config(
                (SecondaryZone("a.test.", (*ONE, ("::1", 5300))), SecondaryZone("b.test.", (*ONE, ("::1", 5300)))),
                (".",),
            ),
        ),
        (
            f"secondary {{\n{FROM}\ntransfer from 10.0.0.2:54\nfallthrough a.test\n}}",
            Config((SecondaryZone("example.org.", (*ONE, ("10.0.0.2", 54))),), ("a.test.",)),
        ),
        (f"secondary {{\n{FROM}\ncatalog\n}}", Config((SecondaryZone("example.org.", ONE, ()),))),
        (
            f"secondary {{\n{FROM}\ncatalog a.test\ncatalog b.test a.test\n}}",
            Config((SecondaryZone("example.org.", ONE, ("a.test.", "b.test.")),)),
        ),
        (f"secondary {{\n{FROM}\ncatalog a.test\ncatalog\n}}", Config((SecondaryZone("example.org.", ONE, ()),))),
    ],
)
def test_options(text: str, expected: Config) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("secondary", "secondary zones require a transfer from property"),
        ("secondary {\nfallthrough\n}", "secondary zones require a transfer from property"),
        ("secondary {\ntransfer\n}", "3 - Error during parsing: wrong argument count"),
        ("secondary {\ntransfer from\n}", "3 - Error during parsing: wrong argument count"),
        ("secondary {\ntransfer to 10.0.0.1\n}", "3 - Error during parsing: unknown property 'to'"),
        ("secondary {\ntransfer from *\n}", "can't use '*' in transfer from"),
        ("secondary {\ntransfer from ns.test\n}", "must specify an IP address: 'ns.test'"),
        (f"secondary {{\n{FROM}\nupstream\n}}", "4 - Error during parsing: unknown option 'upstream'"),
    ],
)
def test_mistakes_have_a_line(text: str, said: str) -> None:
    with pytest.raises(CorefileError) as caught:
        parsed(text)
    assert said in str(caught.value)
