"""The options of proxyproto."""

from __future__ import annotations

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.transports.proxied import ProxyConfig

MAPPED = b"\0" * 10 + b"\xff\xff"


def proxied(text: str) -> ProxyConfig:
    found = load(f". {{\n{text}\nwhoami\n}}", environ={}).blocks[0].settings.proxied
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("proxyproto", ProxyConfig(others="use")),
        ("proxyproto {\n}", ProxyConfig(others="use")),
        ("proxyproto {\ndefault SKIP\n}", ProxyConfig(others="skip")),
        (
            "proxyproto {\nallow 10.1.2.3/8 fd00::/8\nallow 192.0.2.1/32\n}",
            ProxyConfig(
                (
                    (MAPPED + bytes([10, 0, 0, 0]), 104),
                    (b"\xfd" + bytes(15), 8),
                    (MAPPED + bytes([192, 0, 2, 1]), 128),
                ),
                "ignore",
            ),
        ),
        (
            "proxyproto {\nallow ::/0\ndefault reject\nudp_session_tracking 28s\n}",
            ProxyConfig(((bytes(16), 0),), "reject", 28.0, 10_240),
        ),
        ("proxyproto {\nudp_session_tracking 1m30s 20\n}", ProxyConfig((), "use", 90.0, 20)),
        ("proxyproto {\nudp_session_tracking -1s\n}", ProxyConfig((), "use", 0.0, 10_240)),
        # As in CoreDNS, a line without networks allows nobody in particular.
        ("proxyproto {\nallow\n}", ProxyConfig((), "use")),
    ],
)
def test_options(text: str, wanted: ProxyConfig) -> None:
    found = proxied(text)
    assert found == ProxyConfig(wanted.allowed, wanted.others, wanted.session_s, wanted.max_sessions, "proxyproto")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("proxyproto 10.0.0.0/8", "Corefile:2 - .*no argument"),
        ("proxyproto\nproxyproto", "Corefile:3 - .*only once"),
        ("proxyproto {\nallow 10.0.0.1\n}", "Corefile:3 - .*invalid CIDR '10.0.0.1'"),
        ("proxyproto {\nallow 10.0.0.0/33\n}", "Corefile:3 - .*invalid CIDR"),
        ("proxyproto {\nallow all\n}", "Corefile:3 - .*invalid CIDR 'all'"),
        ("proxyproto {\ndefault\n}", "Corefile:3 - .*one of use, ignore"),
        ("proxyproto {\ndefault require\n}", "Corefile:3 - .*'require'; expected one of use, ignore, reject, skip"),
        ("proxyproto {\ndefault use skip\n}", "Corefile:3 - .*expected one argument"),
        ("proxyproto {\nudp_session_tracking\n}", "Corefile:3 - .*takes a duration"),
        ("proxyproto {\nudp_session_tracking soon\n}", "Corefile:3 - .*'soon'"),
        ("proxyproto {\nudp_session_tracking 28s 0\n}", "Corefile:3 - .*number of sessions must be"),
        ("proxyproto {\nudp_session_tracking 28s 10 10\n}", "Corefile:3 - .*takes a duration"),
        ("proxyproto {\nudp_session_tracking 25h\n}", "Corefile:3 - .*at most 86400s"),
        ("proxyproto {\nreject\n}", "Corefile:3 - .*'reject'"),
    ],
)
def test_errors(text: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        load(f". {{\n{text}\nwhoami\n}}", environ={})
