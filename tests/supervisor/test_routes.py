"""Where forwarded queries go, and when that is looked at again."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fastdns.corefile import load
from fastdns.supervisor.routes import Nameservers, RouteTable


def test_a_file_that_changes_after_it_was_read(tmp_path: Path) -> None:
    """A reload takes a while; what a DHCP client writes meanwhile must not count as seen."""
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.1\n")
    config = load(f". {{\n forward . {path}\n}}\n")
    routes = asyncio.run(RouteTable().find(config))
    assert [route.upstream.to for route in routes.upstreams] == ["192.0.2.1:53"]
    nameservers = Nameservers()
    path.write_text("nameserver 192.0.2.200\n")
    nameservers.follow(routes)
    assert nameservers.changed()
    assert not nameservers.changed()
    path.unlink()
    assert not nameservers.changed(), "what has gone keeps what was read of it"
