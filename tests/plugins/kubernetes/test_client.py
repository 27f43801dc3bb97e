"""Values of the pod that asks: what is kept of pods where a Corefile reads it, and what is read by an address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.kubernetes.config import Config
from fastdns.plugins.kubernetes.snapshot._copy import Copy
from fastdns.plugins.kubernetes.snapshot._restore import restore
from tests.plugins.kubernetes.support import Cluster, Options
from tests.support import Server, wait_until

pytestmark = pytest.mark.native

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    metadata
    template IN TXT {
        answer "{{ .Name }} 0 IN TXT \\"{{ .Meta `kubernetes/client-namespace` }}\\" \\"{{
            .Meta `kubernetes/client-pod-name` }}\\" \\"{{ .Meta `kubernetes/client-label/app.kubernetes.io/name`
            }}\\" \\"{{ .Meta `kubernetes/client-label/tier` }}\\""
    }
    kubernetes cluster.local {
        manifests "MANIFESTS"
        pods verified
    }
}
"""
POD = """\
---
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: %s, labels: {%s}}
status: {podIP: %s, phase: Running}
"""
PODS = [
    ("web-1", "shop", "app.kubernetes.io/name: web, tier: front, other: kept by nobody", "127.0.0.1"),
    ("bare", "shop", "", "127.0.0.2"),
    ("host-1", "shop", "tier: a", "127.0.0.3"),
    ("host-2", "shop", "tier: b", "127.0.0.3"),
    ("host-1", "shop", "tier: a", "127.0.0.4"),
    ("host-2", "other", "tier: b", "127.0.0.5"),
    ("host-3", "shop", "tier: b", "127.0.0.5"),
]


def manifests(pods: list[tuple[str, str, str, str]]) -> str:
    return "".join(POD % pod for pod in pods)


@pytest.mark.unsanitized("it starts a whole server")
def test_what_is_known_of_the_client(tmp_path: Path) -> None:
    pods = [pod for pod in PODS if pod[3] != "127.0.0.4"]
    with Server(tmp_path, COREFILE, manifests=manifests(pods), workers=1) as server:

        def said(source: str) -> list[str]:
            query = dns.message.make_query("a.example.", "TXT")
            reply = dns.query.udp(query, "127.0.0.1", 5, port=server.port, source=source)
            return [text.decode() for text in reply.answer[0][0].strings]

        def change(pods: list[tuple[str, str, str, str]]) -> None:
            server.manifests.with_suffix(".new").write_text(manifests(pods))
            server.manifests.with_suffix(".new").replace(server.manifests)

        assert said("127.0.0.1") == ["shop", "web-1", "web", "front"]
        assert said("127.0.0.2") == ["shop", "bare", "", ""]
        assert said("127.0.0.3") == ["shop", "", "", ""], "two pods of a namespace"
        assert said("127.0.0.5") == ["", "", "", ""], "pods of two namespaces"
        assert said("127.0.0.9") == ["", "", "", ""], "no pod"
        change([("web-1", "shop", "tier: back", "127.0.0.1"), ("new", "other", "tier: x", "127.0.0.2")])
        wait_until(lambda: said("127.0.0.1") == ["shop", "web-1", "", "back"])
        wait_until(lambda: said("127.0.0.2") == ["other", "new", "", "x"])
        assert said("127.0.0.3") == ["", "", "", ""]


# ------------------------------------------------------------------------------------------------ what is kept

DESCRIBED = Options(pods="verified", described=("", "tier"))


def pod(name: str, address: str, **labels: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "shop", "labels": labels}
    return {"kind": "Pod", "metadata": meta, "status": {"podIP": address, "phase": "Running"}}


def kept(cluster: Cluster) -> list[bytes]:
    """What is kept of pods, sorted."""
    return sorted(value for _, value in cluster.store.items(b"\0\0D"))


def test_nothing_is_kept_where_nobody_reads_it() -> None:
    pods = [pod("a", "10.0.0.1", tier="x"), pod("b", "10.0.0.2")]
    plain, described = (Cluster(options, pods) for options in (Options(pods="verified"), DESCRIBED))
    assert kept(plain) == []
    assert kept(described) == [b"\x01a\x01x", b"\x01b\x00"]
    assert plain.store.used_bytes < described.store.used_bytes


def test_it_follows_the_pod() -> None:
    cluster = Cluster(DESCRIBED, [pod("a", "10.0.0.1", tier="x")])
    cluster.block.upsert(pod("a", "10.0.0.1", tier="y", other="z"))
    assert kept(cluster) == [b"\x01a\x01y"]
    cluster.block.upsert(pod("a", "10.0.0.2", tier="y"))
    assert kept(cluster) == [b"\x01a\x01y"]
    cluster.block.upsert(pod("b", "10.0.0.1", tier="é" * 200))
    assert kept(cluster) == [b"\x01a\x01y", b"\x01b\x00"], "no label is as long"
    ended = pod("a", "10.0.0.2")
    ended["status"]["phase"] = "Succeeded"
    cluster.block.upsert(ended)
    cluster.block.delete(pod("b", "10.0.0.1"))
    assert kept(cluster) == []
    assert cluster.store.items(b"\0\0P") == []


def test_what_a_dead_writer_has_left_is_removed() -> None:
    cluster = Cluster(DESCRIBED, [pod("a", "10.0.0.1", tier="x"), pod("b", "10.0.0.2")])
    cluster.block.take_over(cluster.store_writer)
    cluster.block.list_all([pod("a", "10.0.0.1", tier="y")])
    assert kept(cluster) == [b"\x01a\x01y"]


def snapshot(cluster: Cluster) -> bytes:
    copy = Copy(cluster.store, 0)
    parts = []
    while part := copy.chunk():
        parts.append(part)
    return b"".join(parts)


def test_snapshots_have_it() -> None:
    cluster = Cluster(DESCRIBED, [pod("a", "10.0.0.1", tier="x")])
    fresh = Cluster(DESCRIBED, [])
    assert restore(fresh.block.writer.records, snapshot(cluster), cluster.block.writer.records.id_seed) == (0, 0)
    assert kept(fresh) == [b"\x01a\x01x"]
    fresh.block.list_all([])
    assert kept(fresh) == []


# --------------------------------------------------------------------------------------------------- the Corefile


def block(options: str, pods: str = "verified") -> tuple[Config, tuple[str, ...]]:
    found = load(f". {{\n{options}\nkubernetes cluster.local {{\npods {pods}\n}}\n}}", environ={})
    config = found.blocks[0].plugins["kubernetes"]
    assert isinstance(config, Config)
    return config, found.warnings


LABELS = "log . {/kubernetes/client-label/app} "


@pytest.mark.parametrize(
    ("options", "described", "why"),
    [
        ("", (), "nobody reads any"),
        ("metadata", (), "the same"),
        ("metadata\nlog . {/kubernetes/client-namespace}", (), "the namespace is known anyway"),
        ("log . {/kubernetes/client-pod-name}", (), "without metadata nothing can be read"),
        ('metadata\nlog . "{/kubernetes/client-pod-name}{/kubernetes/client-label/b/c_d-e}"', ("", "b/c_d-e"), ""),
        ("metadata\nrewrite edns0 local set 0xffee {kubernetes/client-label/app}", ("app",), "rewrite"),
        ("metadata\nview v {\nexpr metadata('kubernetes/client-label/app') == ''\n}", ("app",), "an expression"),
        ('metadata\ntemplate IN A {\nanswer "{{ .Meta `kubernetes/client-label/app` }}"\n}', ("app",), "templates"),
        (f"metadata\n{LABELS}\n{LABELS.replace('app', 'tier').replace('.', 'org')}", ("app", "tier"), "two"),
    ],
)  # fmt: skip
def test_what_a_block_reads(options: str, described: tuple[str, ...], why: str) -> None:
    assert block(options)[0].described == described, why


def test_pods_that_are_not_verified() -> None:
    config, warnings = block("metadata\nlog . {/kubernetes/client-pod-name}", "insecure")
    assert config.described == ()
    wanted = "kubernetes/client-pod-name is always empty: pods are known with pods verified"
    assert f"plugin/kubernetes: {wanted}" in warnings


def test_too_many() -> None:
    shown = " ".join(f"{{/kubernetes/client-label/l{number}}}" for number in range(33))
    with pytest.raises(CorefileError, match="at most 32 values of the pods that ask can be read, got 33"):
        block(f'metadata\ntemplate IN A {{\nanswer "{shown}"\n}}')
