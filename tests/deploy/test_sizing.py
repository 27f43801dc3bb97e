"""Limits hold what docs/how-to/size-workers-and-memory.md adds up, and requests what is used without a load."""

from __future__ import annotations

import re

import pytest

from tests.deploy.objects import Object, named, pod_of
from tests.deploy.render import ROOT, chart, overlay

# MiB of bench/RESULTS.md, 2026-11-29: two workers, Python 3.13 for each further one.
EMPTY, STEADY, RELIST, WORKER = 42.5, 71, 74, 3.3
# Bounds in MiB: the cache of one block, a rendering of /metrics, and what the settings below say.
CACHE, RENDERING = 10.5, 9.5
SETTINGS = {"FASTDNS_MAX_TCP_MIB": 32, "FASTDNS_MAX_IN_FLIGHT": 16384}
IN_FLIGHT = 30

CASES = {
    "base": (lambda: overlay("base"), 10_000),
    "small": (lambda: overlay("overlays/small"), 1_000),
    "large": (lambda: overlay("overlays/large"), 20_000),
    "node-local": (lambda: overlay("overlays/node-local"), 10_000),
    "chart": (lambda: chart(), 10_000),
}


def mib(text: str) -> int:
    """``170Mi``"""
    (number,) = re.findall(r"^(\d+)Mi$", text)
    return int(number)


def container_of(objects: list[Object]) -> Object:
    """The container of the DNS server."""
    (workload,) = [one for one in objects if one["kind"] in ("Deployment", "DaemonSet")]
    container: Object = pod_of(workload)["spec"]["containers"][0]
    return container


@pytest.mark.parametrize("case", CASES)
def test_memory_holds(case: str) -> None:
    render, services = CASES[case]
    container = container_of(render())
    environ = {one["name"]: int(one["value"]) for one in container["env"]}
    workers = WORKER * (environ["FASTDNS_WORKERS"] - 2) + CACHE
    tcp = environ.get("FASTDNS_MAX_TCP_MIB", SETTINGS["FASTDNS_MAX_TCP_MIB"])
    in_flight = IN_FLIGHT * environ.get("FASTDNS_MAX_IN_FLIGHT", 16384) / SETTINGS["FASTDNS_MAX_IN_FLIGHT"]
    used = EMPTY + (STEADY - EMPTY) * services / 10_000 + workers
    most = EMPTY + (RELIST - EMPTY) * services / 10_000 + workers + RENDERING + tcp + in_flight
    resources = container["resources"]
    assert used <= mib(resources["requests"]["memory"])
    assert most <= mib(resources["limits"]["memory"])
    # A limit on CPU would throttle a burst of queries; none is needed for the number of workers.
    assert "cpu" not in resources["limits"]


def test_the_page_has_the_figures_of_the_sum() -> None:
    page = (ROOT / "docs/how-to/size-workers-and-memory.md").read_text()
    assert f"| {EMPTY} MiB |" in page
    assert f"70 to {STEADY} MiB; 72 to {RELIST} MiB across a full relist" in page
    assert f"{WORKER} MiB with Python 3.13" in page
    assert f"| outstanding queries to upstreams | {IN_FLIGHT} MiB at most" in page
    for name, value in SETTINGS.items():
        assert f"| `{name}` | {value} |" in (ROOT / "docs/reference/environment.md").read_text()


def test_sizes_are_in_order() -> None:
    limits = [
        mib(container_of(CASES[case][0]())["resources"]["limits"]["memory"]) for case in ("small", "base", "large")
    ]
    assert limits == sorted(set(limits))
    replicas = [named(CASES[case][0](), "Deployment")["spec"]["replicas"] for case in ("small", "base", "large")]
    assert replicas == sorted(set(replicas))
