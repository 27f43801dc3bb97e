"""Files of search lists are read at a start and at a reload, and a bad one leaves what is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.forward.engine.support import Upstream
from tests.plugins.upstream import from_table
from tests.support import Server

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    autopath resolv.conf
    forward . 127.0.0.1:UPSTREAM
}
"""
RECORDS = {
    "www.two.test. A": ["www.two.test. 60 IN A 198.51.100.2"],
    "www.three.test. A": ["www.three.test. 60 IN A 198.51.100.3"],
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "resolv.conf").write_text("search one.test two.test\n")
    with Upstream(from_table(RECORDS)) as upstream:
        corefile = COREFILE.replace("UPSTREAM", str(upstream.port))
        with Server(tmp_path, corefile, workers=1) as server:
            yield server


def test_reload(server: Server) -> None:
    assert server.addresses("www.one.test.") == ["198.51.100.2"]
    file = server.folder / "resolv.conf"
    file.write_text("search one.test three.test\n")
    assert server.addresses("www.one.test.") == ["198.51.100.2"]
    # Something must differ in the Corefile.
    server.corefile.write_text(server.corefile.read_text().replace("autopath", "autopath ."))
    server.reload()
    assert server.addresses("www.one.test.") == ["198.51.100.3"]
    file.write_text("search a..b\n")
    server.corefile.write_text(server.corefile.read_text().replace("autopath .", "autopath"))
    server.send_signal(10)
    server.wait_for_log("failed to parse 'resolv.conf': line 1: 'a..b' is not a domain name")
    assert server.addresses("www.one.test.") == ["198.51.100.3"]
