"""shed in a server: it answers as before, and tells what was dropped. See tests/transports/test_newest.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from tests.support import Server

COREFILE = """
.:DNS_PORT {
    shed
    whoami
    prometheus 127.0.0.1:METRICS_PORT
}
.:OTHER_PORT {
    whoami
}
"""


def test_a_server_with_it(tmp_path: Path) -> None:
    with Server(tmp_path, COREFILE, workers=2) as server:
        for number in range(50):
            for tcp in (False, True):
                assert len(server.query(f"a{number}.example.", tcp=tcp).additional) == 2
        name = "coredns_shed_dropped_total"
        dropped = {labels: value for (of, labels), value in server.samples().items() if of == name}
        listener = f"dns://:{server.port}"
        assert dropped == {
            (("reason", "query"), ("server", listener)): 0,
            (("reason", "response"), ("server", listener)): 0,
        }
        # With a reload it goes.
        server.write_corefile(COREFILE.replace("    shed\n", ""))
        server.reload()
        assert not any(of == name for of, _ in server.samples())
        assert len(server.query("a.example.").additional) == 2


def test_the_listener_has_it() -> None:
    config = load(". {\nshed\nwhoami\n}\nexample.org {\nwhoami\n}", environ={})
    assert [block.settings.newest_first for block in config.blocks] == ["shed", None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shed extra", "Corefile:2 - .*no argument"),
        ("shed {\ndepth 10\n}", "shed takes no options"),
        ("shed\nshed", "Corefile:3 - .*only once"),
    ],
)
def test_errors(text: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        load(f". {{\n{text}\n}}", environ={})
