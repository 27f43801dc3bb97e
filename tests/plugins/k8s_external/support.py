"""The step of k8s_external on a cluster in this process."""

from __future__ import annotations

from typing import Any

from fastdns.plugins.k8s_external._step import ExternalStep
from tests.plugins.kubernetes.support import Cluster, Options, make_answer_options, wire

ZONES = ["example.org.", "in-addr.arpa.", "ip6.arpa."]


def make_step(cluster: Options, **given: Any) -> ExternalStep:
    """The step that goes with a kubernetes block."""
    options = {"ttl_s": 5, "headless": True, "apex": "dns", "zones": ZONES, "fall": []} | given
    return ExternalStep(
        make_answer_options(cluster, 0),
        zones=[wire(zone) for zone in options["zones"]],
        primary=wire(options["zones"][0]),
        apex=wire(options["apex"])[:-1],
        ttl_s=options["ttl_s"],
        headless=options["headless"],
        fall=[wire(zone) for zone in options["fall"]],
    )


def make_cluster(
    objects: str | list[dict[str, Any]], options: Options | None = None, *, after: Any = (), **given: Any
) -> Cluster:
    """A cluster whose server has the zones outside beside its own."""
    options = options or Options(zones=["cluster.local."], namespaces=["prod"], exposed=True)
    chain = [make_step(options, **given), *after]
    return Cluster(options, objects, extra_zones=dict.fromkeys(given.get("zones", ZONES), chain))
