"""Whose an address is, for people who look at clients."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from fastdns.corefile import load
from fastdns.plugins.kubernetes.answers._owner import owner_of
from tests.plugins.kubernetes.support import Cluster, Options

pytestmark = pytest.mark.native


def pod(name: str, namespace: str, address: str) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "status": {"podIP": address, "phase": "Running"},
    }


def service(name: str, namespace: str, *endpoints: str) -> list[dict[str, Any]]:
    labels = {"kubernetes.io/service-name": name}
    return [
        {
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
        },
        {
            "kind": "EndpointSlice",
            "metadata": {"name": f"{name}-1", "namespace": namespace, "labels": labels},
            "addressType": "IPv6" if ":" in endpoints[0] else "IPv4",
            "endpoints": [{"addresses": [one]} for one in endpoints],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        },
    ]


def owner(cluster: Cluster, address: str, name_at: int | None = 0, source: int = 0) -> dict[str, str]:
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return owner_of(cluster.store, source, packed, name_at)


PODS = [
    pod("web-1", "shop", "10.0.0.1"), pod("a", "shop", "10.0.0.2"), pod("b", "shop", "10.0.0.2"),
    pod("c", "shop", "10.0.0.3"), pod("c", "other", "10.0.0.3"), pod("six", "shop", "2001:db8::1"),
]  # fmt: skip
SERVICES = [*service("db", "shop", "10.0.0.1", "10.0.0.9"), *service("six", "other", "2001:db8::9")]


@pytest.mark.parametrize(
    ("address", "expected", "why"),
    [
        ("10.0.0.1", {"namespace": "shop", "pod": "web-1"}, "a pod, which is an endpoint as well"),
        ("10.0.0.2", {"namespace": "shop"}, "two pods of a namespace"),
        ("10.0.0.3", {}, "pods of two namespaces, and no endpoint"),
        ("10.0.0.9", {"namespace": "shop", "service": "db"}, "an endpoint without a pod"),
        ("2001:db8::1", {"namespace": "shop", "pod": "six"}, "IPv6"),
        ("2001:db8::9", {"namespace": "other", "service": "six"}, "an endpoint of IPv6"),
        ("10.0.0.8", {}, "nobody"),
    ],
)
def test_owners(address: str, expected: dict[str, str], why: str) -> None:
    cluster = Cluster(Options(pods="verified", described=("",)), [*PODS, *SERVICES])
    assert owner(cluster, address) == expected, why


def test_without_pods_it_is_the_service() -> None:
    cluster = Cluster(Options(), SERVICES)
    assert owner(cluster, "10.0.0.1", None) == {"namespace": "shop", "service": "db"}
    assert owner(cluster, "10.0.0.1", None, source=2) == {}, "another cluster"
    assert owner_of(cluster.store, 0, b"\0" * 5, None) == {}


@pytest.mark.parametrize(
    ("plugins", "expected", "why"),
    [
        ("top\nkubernetes cluster.local {\npods verified\n}", ("",), "names of pods are kept for those who look"),
        ("top\nkubernetes cluster.local {\npods insecure\n}", (), "pods are not known"),
        ("kubernetes cluster.local {\npods verified\n}", (), "nobody asks"),
    ],
)
def test_what_is_kept_of_pods(plugins: str, expected: tuple[str, ...], why: str) -> None:
    config = load(f"cluster.local {{\n{plugins}\n}}\n")
    assert config.blocks[0].plugins["kubernetes"].described == expected, why
    assert config.warnings == ()
