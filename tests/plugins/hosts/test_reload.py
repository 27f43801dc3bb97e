"""Hosts files that come, change, go and cannot be read, while a server runs; watchers that die; reloads."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import WEB, Server, wait_until

# As k3s has it, but for ports, intervals and where files are.
K3S = """\
.:DNS_PORT {
    bind 127.0.0.1
    errors
    ready 127.0.0.1:READY_PORT
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        manifests MANIFESTS
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }
    hosts NodeHosts {
        ttl 60
        reload 50ms
        fallthrough
    }
    prometheus 127.0.0.1:METRICS_PORT
    cache 30
    loop
    reload
    loadbalance
    import custom/*.override
    forward . 127.0.0.1:1
}
import custom/*.server
zone.test:DNS_PORT {
    bind 127.0.0.1
    hosts NodeHosts {
        reload 50ms
        ttl 5
    }
}
once.test:DNS_PORT {
    bind 127.0.0.1
    hosts once {
        reload 0
    }
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("k3s")
    (folder / "once").write_text("10.3.0.1 a.once.test\n")
    with Server(folder, K3S, workers=1) as server:
        yield server


@pytest.fixture(autouse=True)
def no_file(server: Server) -> Iterator[None]:
    """Each test begins with what the last one has left, and its own file."""
    yield
    path = server.folder / "NodeHosts"
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def write(server: Server, text: str) -> None:
    """Another file takes the place of the one that is there."""
    (server.folder / "NodeHosts.new").write_text(text)
    (server.folder / "NodeHosts.new").replace(server.folder / "NodeHosts")


def shows(server: Server, name: str, *addresses: str) -> None:
    wait_until(lambda: server.addresses(name) == sorted(addresses), 10, f"{addresses} for {name}: {server.log}")


def test_a_file_that_comes_after_the_start(server: Server) -> None:
    """k3s writes NodeHosts once nodes have registered."""
    assert "plugin/hosts: File does not exist: NodeHosts" in server.log
    assert server.addresses("node1.zone.test.") == [] and len(server.addresses(WEB)) == 1
    assert server.http("/ready")[0] == 200
    write(server, "10.0.0.1 node1.zone.test node1\n10.0.0.2 node2\nrubbish\n")
    shows(server, "node1.zone.test.", "10.0.0.1")
    shows(server, "node2.", "10.0.0.2")
    assert server.addresses("2.0.0.10.in-addr.arpa.", "PTR") == ["node2."]
    assert server.query("node1.").answer[0].ttl == 60 and server.query("node1.zone.test.").answer[0].ttl == 5
    # Both blocks share what was read.
    server.wait_for_log("NodeHosts: 1 line is skipped, as no entry of a hosts file; the first one is line 3")
    assert server.log.count("NodeHosts: 1 line ") == 1


def test_metrics(server: Server) -> None:
    write(server, "10.0.0.1 a b.zone.test *.c.zone.test\n::1 a\nx\ny\n")
    shows(server, "b.zone.test.", "10.0.0.1")
    changed = (server.folder / "NodeHosts").stat().st_mtime
    # Four addresses and three reverse names.
    wait_until(lambda: server.total("coredns_hosts_entries", hostsfile="NodeHosts") == 7)
    assert server.total("coredns_hosts_entries", hostsfile="once") == 2
    assert server.total("coredns_hosts_reload_timestamp_seconds") == pytest.approx(changed)
    assert server.total("fastdns_hosts_skipped_lines", hostsfile="NodeHosts") == 2


def test_a_config_map_is_replaced_by_links(server: Server) -> None:
    """As the kubelet does it: a link to a folder, swapped as a whole. The files are as old, and as long."""
    for number in range(3):
        folder = server.folder / f"..{number}"
        folder.mkdir()
        (folder / "NodeHosts").write_text(f"10.4.0.{number} linked.zone.test\n")
        os.utime(folder / "NodeHosts", (1_000_000_000, 1_000_000_000))
        (server.folder / "..data_tmp").symlink_to(folder.name)
        (server.folder / "..data_tmp").replace(server.folder / "..data")
        if number == 0:
            (server.folder / "NodeHosts").symlink_to("..data/NodeHosts")
        shows(server, "linked.zone.test.", f"10.4.0.{number}")


@pytest.mark.parametrize("how", ["gone", "a directory", "too large"])
def test_a_file_that_cannot_be_read_any_more_is_served_on(server: Server, how: str) -> None:
    path = server.folder / "NodeHosts"
    write(server, f"10.5.0.1 kept.zone.test\n10.5.0.2 {how.replace(' ', '-')}.zone.test\n")
    shows(server, f"{how.replace(' ', '-')}.zone.test.", "10.5.0.2")
    before = server.log.count("what is served stays")
    path.unlink()
    if how == "a directory":
        path.mkdir()
    elif how == "too large":
        with path.open("wb") as file:
            file.truncate(1 << 30)
    server.wait_for_log("what is served stays", count=before + 1)
    assert server.addresses("kept.zone.test.") == ["10.5.0.1"]
    # Once in the log, however often it is looked for; a watcher that takes over keeps the names, too.
    watcher = server.pids().watcher
    os.kill(watcher, signal.SIGKILL)
    wait_until(lambda: server.pids().watcher not in (None, 0, watcher))
    server.wait_for_log("what is served stays", count=before + 2)
    assert server.addresses("kept.zone.test.") == ["10.5.0.1"]
    assert server.log.count("what is served stays") == before + 2
    if path.is_dir():
        path.rmdir()
    write(server, "10.5.0.3 kept.zone.test\n")
    shows(server, "kept.zone.test.", "10.5.0.3")


def test_a_watcher_that_dies_and_a_reload_change_nothing(server: Server) -> None:
    write(server, "10.6.0.1 stays.zone.test\n10.6.0.2 goes.zone.test\n")
    shows(server, "goes.zone.test.", "10.6.0.2")
    watcher = server.pids().watcher
    os.kill(watcher, signal.SIGKILL)
    write(server, "10.6.0.1 stays.zone.test\n10.6.0.3 new.zone.test\n")
    assert server.addresses("stays.zone.test.") == ["10.6.0.1"]
    shows(server, "new.zone.test.", "10.6.0.3")
    shows(server, "goes.zone.test.")
    server.write_corefile(K3S.replace("ttl 5", "ttl 6"))
    server.reload()
    assert server.query("stays.zone.test.").answer[0].ttl == 6
    write(server, "10.6.0.4 stays.zone.test\n")
    shows(server, "stays.zone.test.", "10.6.0.4")


def test_reload_0_reads_once(server: Server) -> None:
    (server.folder / "once").write_text("10.3.0.2 a.once.test\n")
    write(server, "10.7.0.1 a.zone.test\n")
    shows(server, "a.zone.test.", "10.7.0.1")
    assert server.addresses("a.once.test.") == ["10.3.0.1"]


def test_a_list_of_20_000_names_is_replaced_while_names_are_answered(server: Server) -> None:
    for turn in range(2):
        lines = [f"10.8.{turn}.1 n{number}.zone.test" for number in range(turn, 20_000)]
        write(server, "\n".join(lines) + "\n10.8.0.9 always.zone.test\n")
        shows(server, "n19999.zone.test.", f"10.8.{turn}.1")
        assert server.addresses("always.zone.test.") == ["10.8.0.9"]
    assert server.addresses("n0.zone.test.") == []
    assert Path(server.folder / "NodeHosts").stat().st_size > 400_000
