"""A server that follows an etcd: changes, leases, values that are no services, and an etcd that goes and comes."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator

import dns.rcode
import pytest

from tests.plugins.etcd.support import Etcd, needs_etcd
from tests.support import Server, wait_until

pytestmark = needs_etcd

COREFILE = """\
sky.test:DNS_PORT {
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:METRICS_PORT
    etcd {
        endpoint ENDPOINTS
        min-lease-ttl 5s
        max-lease-ttl 10m
    }
}
"""


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd(tmp_path_factory.mktemp("etcd")) as etcd:
        yield etcd


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, etcd: Etcd) -> Iterator[Server]:
    # The first endpoint has nobody who listens.
    corefile = COREFILE.replace("ENDPOINTS", f"http://127.0.0.1:1 {etcd.url}")
    with Server(tmp_path_factory.mktemp("server"), corefile, workers=1) as server:
        yield server


def becomes(server: Server, name: str, *addresses: str) -> None:
    wait_until(lambda: server.addresses(name) == list(addresses), why=f"{name}: {server.addresses(name)}")


def ttl(server: Server, name: str) -> int:
    return server.query(name).answer[0].ttl


def test_changes_show(server: Server, etcd: Etcd) -> None:
    etcd.put("/skydns/test/sky/a/1", {"host": "10.0.0.1"})
    becomes(server, "a.sky.test.", "10.0.0.1")
    began_s = time.monotonic()
    etcd.put("/skydns/test/sky/a/2", {"host": "10.0.0.2"})
    becomes(server, "a.sky.test.", "10.0.0.1", "10.0.0.2")
    assert time.monotonic() - began_s < 5, "it is watched, not asked now and then"
    etcd.put("/skydns/test/sky/a/1", {"host": "10.0.0.3"})
    becomes(server, "a.sky.test.", "10.0.0.2", "10.0.0.3")
    etcd.delete("/skydns/test/sky/a/2")
    becomes(server, "a.sky.test.", "10.0.0.3")
    etcd.delete("/skydns/test/sky/a/1")
    wait_until(lambda: server.query("a.sky.test.").rcode() == dns.rcode.NXDOMAIN)
    # One transaction shows as a whole; keys of one name, and keys that are none of the zone.
    etcd.put_all({"/skydns/test/sky/t/": {"host": "10.1.0.1"}, "/skydns/test/sky/t": {"host": "10.1.0.2"},
                  "/skydns/test/skyline": {"host": "10.1.0.3"}, "/skydns/com/t": {"host": "10.1.0.4"}})  # fmt: skip
    becomes(server, "t.sky.test.", "10.1.0.1", "10.1.0.2")
    etcd.delete("/skydns/test/sky/t/")
    becomes(server, "t.sky.test.", "10.1.0.2")
    # A dot in a key is as a slash.
    etcd.put("/skydns/test/sky/dotted.name", {"host": "10.1.0.5", "port": 1})
    becomes(server, "dotted.name.sky.test.", "10.1.0.5")
    assert str(server.query("name.sky.test.", "SRV").answer[0]).endswith(" dotted.name.sky.test.")


def test_values_that_are_no_services(server: Server, etcd: Etcd) -> None:
    before = server.total("fastdns_etcd_left_out_total")
    etcd.put("/skydns/test/sky/bad/1", b"{no json")
    etcd.put("/skydns/test/sky/bad/2", {"host": "10.2.0.1", "port": 70000})
    etcd.put("/skydns/test/sky/bad/3", {"host": "10.2.0.3"})
    etcd.put(b"/skydns/test/sky/bad//4", {"host": "10.2.0.4"})
    becomes(server, "bad.sky.test.", "10.2.0.3")
    server.wait_for_log("/skydns/test/sky/bad/1: it is no JSON")
    server.wait_for_log("bad/2: port is 70000; expected -1 to 65535; the name has no data of this key")
    server.wait_for_log("the key is left out")
    wait_until(lambda: server.total("fastdns_etcd_left_out_total") == before + 3)
    assert server.query("1.bad.sky.test.").rcode() == dns.rcode.NOERROR, "the name is there"
    # Said once, until it is mended.
    etcd.put("/skydns/test/sky/bad/2", {"host": "10.2.0.1", "port": 70000})
    etcd.put("/skydns/test/sky/bad/1", {"host": "10.2.0.2"})
    becomes(server, "bad.sky.test.", "10.2.0.2", "10.2.0.3")
    assert server.log.count("bad/2: port is 70000") == 1


def test_leases(server: Server, etcd: Etcd) -> None:
    long, short, endless = etcd.grant(300), etcd.grant(2), etcd.grant(100000)
    etcd.put("/skydns/test/sky/lease/long", {"host": "10.3.0.1"}, long)
    etcd.put("/skydns/test/sky/lease/said", {"host": "10.3.0.2", "ttl": 77}, long)
    etcd.put("/skydns/test/sky/lease/short", {"host": "10.3.0.3"}, short)
    etcd.put("/skydns/test/sky/lease/endless", {"host": "10.3.0.4"}, endless)
    wait_until(lambda: server.query("long.lease.sky.test.").answer and ttl(server, "long.lease.sky.test.") > 290)
    wait_until(lambda: ttl(server, "endless.lease.sky.test.") == 600)
    assert ttl(server, "said.lease.sky.test.") == 77
    assert ttl(server, "short.lease.sky.test.") == 5
    # The key goes with its lease.
    wait_until(lambda: server.query("short.lease.sky.test.").rcode() == dns.rcode.NXDOMAIN, 20)
    # It counts down.
    wait_until(lambda: ttl(server, "long.lease.sky.test.") <= 297)


def test_an_etcd_that_goes_and_comes_again(server: Server, etcd: Etcd) -> None:
    etcd.put("/skydns/test/sky/stays", {"host": "10.4.0.1"})
    etcd.put("/skydns/test/sky/goes", {"host": "10.4.0.2"})
    becomes(server, "goes.sky.test.", "10.4.0.2")
    listings = server.total("fastdns_etcd_listings_total")
    etcd.stop()
    server.wait_for_log("what was read last is served")
    assert server.addresses("stays.sky.test.") == ["10.4.0.1"]
    etcd.start()
    etcd.delete("/skydns/test/sky/goes")
    etcd.put("/skydns/test/sky/comes", {"host": "10.4.0.3"})
    becomes(server, "comes.sky.test.", "10.4.0.3")
    assert server.query("goes.sky.test.").rcode() == dns.rcode.NXDOMAIN
    wait_until(lambda: server.total("fastdns_etcd_errors_total") > 0)
    assert server.total("fastdns_etcd_listings_total") == listings, "it went on where it was"


def test_an_etcd_that_has_forgotten(server: Server, etcd: Etcd) -> None:
    etcd.put("/skydns/test/sky/before", {"host": "10.5.0.1"})
    becomes(server, "before.sky.test.", "10.5.0.1")
    etcd.stop()
    etcd.start()
    # While the server waits before it asks again.
    etcd.delete("/skydns/test/sky/before")
    etcd.put("/skydns/test/sky/after", {"host": "10.5.0.2"})
    etcd.compact()
    becomes(server, "after.sky.test.", "10.5.0.2")
    assert server.query("before.sky.test.").rcode() == dns.rcode.NXDOMAIN


def test_another_etcd_at_the_same_place(server: Server, etcd: Etcd) -> None:
    etcd.stop()
    shutil.rmtree(etcd.folder / "data")
    etcd.start()
    etcd.put("/skydns/test/sky/fresh", {"host": "10.6.0.1"})
    becomes(server, "fresh.sky.test.", "10.6.0.1")
    assert server.query("stays.sky.test.").rcode() == dns.rcode.NXDOMAIN


def test_a_watcher_that_dies_loses_nothing(server: Server, etcd: Etcd) -> None:
    watcher = server.pids().watcher
    assert watcher is not None
    os.kill(watcher, signal.SIGKILL)
    assert server.addresses("fresh.sky.test.") == ["10.6.0.1"]
    etcd.put("/skydns/test/sky/later", {"host": "10.7.0.1"})
    becomes(server, "later.sky.test.", "10.7.0.1")


def test_a_reload_keeps_what_was_read(server: Server, etcd: Etcd) -> None:
    watcher = server.pids().watcher
    text = server.corefile.read_text()
    server.write_corefile(text.replace("max-lease-ttl 10m", "max-lease-ttl 5m\n        fallthrough"))
    server.reload()
    assert server.pids().watcher == watcher
    assert server.addresses("fresh.sky.test.") == ["10.6.0.1"]
    # Another path is another source.
    etcd.put("/other/test/sky/path", {"host": "10.8.0.1"})
    server.write_corefile(text.replace("min-lease-ttl 5s", "path other"))
    server.reload(2)
    assert server.addresses("path.sky.test.") == ["10.8.0.1"]
    assert server.query("fresh.sky.test.").rcode() == dns.rcode.NXDOMAIN
