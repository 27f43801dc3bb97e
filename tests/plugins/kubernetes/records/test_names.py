"""Labels, domain names and addresses as they stand in objects."""

from __future__ import annotations

import pytest

from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.records._names import address_bytes, endpoint_name, label, wire_name

pytestmark = pytest.mark.native


@pytest.mark.parametrize(
    "text, expected",
    [
        ("10.0.0.1", b"\x0a\0\0\1"),
        ("fd00::1", b"\xfd" + bytes(14) + b"\1"),
        ("::ffff:10.0.0.1", b"\x0a\0\0\1"),
        ("10.0.0", None),
        ("None", None),
        ("", None),
        ("10.0.0.1%eth0", None),
        ("é", None),
    ],
)
def test_address_bytes(text, expected):
    assert address_bytes(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [("10.0.0.1", "10-0-0-1"), ("fd00::1", "fd00--1"), ("fd00:1::", "fd00-1--0"), ("::", "--0"), ("::1", "--1")],
)
def test_endpoint_name(text, expected):
    assert endpoint_name(address_bytes(text)) == expected


def test_names():
    assert label("Web") == b"\3web"
    with pytest.raises(SourceError):
        label("x" * 64)
    with pytest.raises(SourceError):
        label("")
    assert wire_name("A.example.") == b"\1A\7example\0"
    assert wire_name("a..b") is None
    assert wire_name("") is None
    assert wire_name(".".join(["x" * 63] * 4)) is None
