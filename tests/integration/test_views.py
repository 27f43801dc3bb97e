"""Blocks that take only some queries of a zone, in real processes: transports, metrics, reloads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import pytest

from tests.serve.points import ENTRY_POINTS
from tests.support import ROOT, Server, has_address

# Two views of one zone for one client network each; the second one asks an upstream. And what takes the rest.
COREFILE = """\
org:DNS_PORT {
    choose lan {
        client 127.0.0.2/32
    }
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    cache
    say lan
}
org:DNS_PORT {
    choose far {
        client 127.0.0.3/32
    }
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    cache
    forward . 127.0.0.1:OTHER_PORT
}
org:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    say rest
}
.:OTHER_PORT {
    bind 127.0.0.1
    say upstream
}
"""


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the package of tests/serve/choosing.py is installed."""
    folder = tmp_path_factory.mktemp("installed") / "choosing-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: choosing\nVersion: 1.0\n")
    points = "".join(f"{name} = {value}\n" for name, value in ENTRY_POINTS.items())
    (folder / "entry_points.txt").write_text(f"[fastdns.plugins]\n{points}")
    return {"PYTHONPATH": f"{folder.parent}:{ROOT}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("views"), COREFILE, environ=environ) as running:
        yield running


def ask(server: Server, source: str, name: str = "a.org.", *, tcp: bool = False, at: str = "127.0.0.1") -> str:
    """The text that a client gets."""
    query = dns.message.make_query(name, "TXT")
    reply = (dns.query.tcp if tcp else dns.query.udp)(query, at, 5.0, port=server.port, source=source)
    return " ".join(text.decode() for rrset in reply.answer for data in rrset for text in data.strings)


def requests(server: Server, view: str) -> int:
    """The queries for org that are counted for a view."""
    return int(server.total("coredns_dns_requests_total", zone="org.", view=view))


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("source", "view", "says"),
    [("127.0.0.2", "lan", "lan"), ("127.0.0.3", "far", "upstream"), ("127.0.0.1", "", "rest")],
)
def test_each_client_has_its_view(server: Server, source: str, view: str, says: str, tcp: bool) -> None:
    before = requests(server, view)
    for number in range(4):
        name = f"{number}.{view or 'rest'}-{tcp}.org."
        assert ask(server, source, name, tcp=tcp) == says
        # From the cache, where there is one: each view has its own.
        assert ask(server, source, name, tcp=tcp) == says
    assert requests(server, view) == before + 8


def test_every_family_that_coredns_gives_the_label_has_it(server: Server) -> None:
    for source in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        ask(server, source, "families.org.")
    views: dict[str, set[str]] = {}
    for (name, labels), _ in server.samples().items():
        if "view" in dict(labels) and not name.endswith("_created"):
            views.setdefault(name, set()).add(dict(labels)["view"])
    both = {"lan", "far"}
    for name in ("requests_total", "responses_total", "request_duration_seconds_count",
                 "request_size_bytes_sum", "response_size_bytes_bucket"):  # fmt: skip
        assert views[f"coredns_dns_{name}"] == both | {""}
    for name in ("entries", "hits_total", "misses_total", "requests_total", "evictions_total"):
        assert views[f"coredns_cache_{name}"] == both
    assert views["coredns_plugin_enabled"] == both | {""}
    of = f"dns://127.0.0.1:{server.port}"
    enabled = {
        (found["view"], found["name"])
        for name, labels in server.samples()
        if name == "coredns_plugin_enabled" and (found := dict(labels))["server"] == of
    }
    assert enabled == {
        ("lan", "prometheus"), ("lan", "cache"), ("lan", "say"), ("far", "prometheus"), ("far", "cache"),
        ("far", "forward"), ("", "prometheus"), ("", "say"),
    }  # fmt: skip
    assert server.total("coredns_dns_responses_total", server=of, zone="org.", view="far", plugin="cache") > 0


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_by_the_address_that_was_asked(tmp_path: Path, environ: dict[str, str], tcp: bool) -> None:
    """On every address it is known from each message, also of a query that has waited for an upstream."""
    corefile = (
        "org:DNS_PORT {\nchoose two {\nserver 127.0.0.2\n}\nforward . 127.0.0.1:OTHER_PORT\n}\n"
        "org:DNS_PORT {\nchoose six {\nserver ::1\n}\nsay six\n}\n"
        "org:DNS_PORT {\nsay rest\n}\n"
        ".:OTHER_PORT {\nbind 127.0.0.1\nsay upstream\n}\n"
    )
    with Server(tmp_path, corefile, environ=environ) as server:
        assert ask(server, "127.0.0.1", at="127.0.0.1", tcp=tcp) == "rest"
        assert ask(server, "127.0.0.1", at="127.0.0.2", tcp=tcp) == "upstream"
        if has_address("::1"):
            assert ask(server, "::1", at="::1", tcp=tcp) == "six"


def test_a_reload_adds_and_removes_views(tmp_path: Path, environ: dict[str, str]) -> None:
    one = "org:DNS_PORT {\nbind 127.0.0.1\nprometheus 127.0.0.1:METRICS_PORT\nsay all\n}\n"
    lan = one.replace("say all", "choose lan {\nclient 127.0.0.2/32\n}\nsay lan")
    with Server(tmp_path, one, environ=environ) as server:
        assert ask(server, "127.0.0.2") == "all"
        server.write_corefile(lan + one)
        server.reload()
        assert (ask(server, "127.0.0.2"), ask(server, "127.0.0.1")) == ("lan", "all")
        assert (requests(server, ""), requests(server, "lan")) == (2, 1)
        # The order counts: what takes all comes first now, and a zone of its own is there beside.
        server.write_corefile(one + lan)
        server.reload(2)
        assert ask(server, "127.0.0.2") == "all"
        server.wait_for_log("no query for org. reaches this block")
        server.write_corefile(one + one)
        server.send_signal(10)
        server.wait_for_log("it is already defined; the running configuration is kept")
        assert ask(server, "127.0.0.2") == "all"
        assert (requests(server, ""), requests(server, "lan")) == (4, 1), "no count is lost, and none is moved"
        server.write_corefile(one)
        server.reload(3)
        assert (requests(server, ""), requests(server, "lan")) == (4, 1)


def test_more_zones_than_one_bank_of_counters(tmp_path: Path, environ: dict[str, str]) -> None:
    """Behind 255 pairs of server and zone all were counted as one. A reload adds room."""
    block = "{\nbind 127.0.0.1\nprometheus 127.0.0.1:METRICS_PORT\nsay it\n}\n"
    zones = " ".join(f"z{number}.org:DNS_PORT" for number in range(300))
    with Server(tmp_path, f"z0.org:DNS_PORT {block}", environ=environ) as server:
        ask(server, "127.0.0.1", "z0.org.")
        server.write_corefile(f"{zones} {block}")
        server.reload()
        for number in (0, 63, 64, 255, 256, 299, 299):
            assert ask(server, "127.0.0.1", f"a.z{number}.org.") == "it"
        counted = {
            dict(labels)["zone"]: int(value)
            for (name, labels), value in server.samples().items()
            if name == "coredns_dns_requests_total"
        }
        assert counted == {
            "z0.org.": 2, "z63.org.": 1, "z64.org.": 1, "z255.org.": 1, "z256.org.": 1, "z299.org.": 2,
        }  # fmt: skip
