"""The nsid step without a server: options of any sizes, before and behind the one that asks."""

from __future__ import annotations

import pytest

from fastdns.plugins.nsid._step import NsidStep
from tests.serve._steps import Answer
from tests.serve.support import options_of, parse, query, trial, wire

pytestmark = pytest.mark.native

NSID, KEEPALIVE, COOKIE = 3, 11, 10
ANSWER = Answer(wire("example.org."), bytes([192, 0, 2, 1]))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({NSID: b""}, {NSID: b"me"}),
        ({NSID: b"x" * 300}, {NSID: b"me"}),
        (
            {COOKIE: b"12345678", NSID: b"", KEEPALIVE: b"\0" * 20},
            {COOKIE: b"12345678", KEEPALIVE: b"\0" * 20, NSID: b"me"},
        ),
        ({KEEPALIVE: b"\0" * 500, NSID: b""}, {NSID: b"me", KEEPALIVE: b"\0" * 500}),
        ({COOKIE: b"12345678"}, {COOKIE: b"12345678"}),
        ({}, {}),
    ],
)
def test_options(options: dict[int, bytes], expected: dict[int, bytes]) -> None:
    reply = parse(trial(NsidStep(b"me"), ANSWER).ask(query("a.example.org.", udp_bytes=1232, options=options)))
    assert dict(options_of(reply)) == expected


@pytest.mark.parametrize("data", [b"x", b"x" * 255])
def test_data_of_any_size(data: bytes) -> None:
    message = query("a.example.org.", udp_bytes=1232, options={NSID: b""})
    assert options_of(parse(trial(NsidStep(data), ANSWER).ask(message))) == [(NSID, data)]
