"""Where forwarded queries go, and when that is looked at again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.errors import FastdnsError
from fastdns.plugins.forward import routes as routes_module
from fastdns.plugins.forward.routes import Nameservers, RouteTable


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


def test_a_file_that_has_gone_does_not_hide_what_another_says(tmp_path: Path) -> None:
    """While one of them was away, a new server in the other was not used."""
    gone, other = tmp_path / "a.conf", tmp_path / "b.conf"
    gone.write_text("nameserver 192.0.2.1\n")
    other.write_text("nameserver 192.0.2.2\n")
    table = RouteTable()
    config = load(f". {{\n forward . {gone} {other}\n}}\n")
    nameservers = Nameservers()
    nameservers.follow(asyncio.run(table.find(config)))
    gone.unlink()
    assert not nameservers.changed()
    other.write_text("nameserver 192.0.2.222\n")
    assert nameservers.changed()
    routes = asyncio.run(table.find(config))
    assert [route.upstream.to for route in routes.upstreams] == ["192.0.2.1:53", "192.0.2.222:53"]
    nameservers.follow(routes)
    assert not nameservers.changed()
    gone.write_text("nameserver 192.0.2.111\n")
    assert nameservers.changed()


def test_files_with_more_than_a_corefile_can_have_lose_their_last(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("".join(f"nameserver 192.0.2.{i}\n" for i in range(100)))
    config = load(f"a. {{\n forward . {path}\n}}\nb. {{\n forward . 198.51.100.1 {path}\n}}\n")
    routes = asyncio.run(RouteTable().find(config))
    assert [len(routes.of_stanza(number)) for number in (0, 1)] == [64, 64]
    assert routes.upstreams[64].upstream.to == "198.51.100.1:53"


def test_what_a_corefile_names_itself_has_to_fit() -> None:
    stanzas = "\n".join(f"forward z{i}. {' '.join(f'10.0.{i}.{k}' for k in range(15))}" for i in range(9))
    with pytest.raises(FastdnsError, match="at most 128 upstreams in a Corefile, got 135"):
        asyncio.run(RouteTable().find(load(f". {{\n{stanzas}\n}}\n")))


def test_an_interface_that_comes_or_comes_back_is_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number is another one then, and what is asked over it would be asked over none."""
    numbers = {"eth7": 4}
    monkeypatch.setattr(routes_module, "interface_index", numbers.get)
    routes = asyncio.run(RouteTable().find(load(". {\n forward . fe80::1%eth7 fe80::1%eth8\n}\n")))
    assert [route.upstream.to for route in routes.upstreams] == ["[fe80::1%eth7]:53", "[fe80::1%eth8]:53"]
    nameservers = Nameservers()
    nameservers.follow(routes)
    assert not nameservers.changed()
    del numbers["eth7"]
    assert not nameservers.changed(), "it is away; nothing better is known"
    numbers["eth7"] = 9
    assert nameservers.changed()
    assert not nameservers.changed()
    numbers["eth8"] = 10
    assert nameservers.changed()
