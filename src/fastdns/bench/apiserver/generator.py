"""Fills a store with a cluster of any size, equal for equal seeds, and changes it as real clusters change."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import time
from dataclasses import dataclass, field
from typing import Any

from fastdns.bench.apiserver import objects
from fastdns.bench.apiserver.kinds import SERVICES, SLICES
from fastdns.bench.apiserver.store import Store

# The endpoint slice controller's default.
MAX_ENDPOINTS_PER_SLICE = 100
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
_ZONES = ("zone-a", "zone-b", "zone-c")
_PORTS = (("http", "TCP", 80), ("metrics", "TCP", 9090))
_POD_BASE = int(ipaddress.IPv4Address("10.128.0.0"))
_POD6_BASE = int(ipaddress.IPv6Address("fd00:10:244::1"))
_SERVICE_BASE = int(ipaddress.IPv4Address("172.20.0.1"))
_SERVICE6_BASE = int(ipaddress.IPv6Address("fd00:10:96::1"))
# Addresses of endpoints that churn adds are far from those of the fill.
_CHURN_OFFSET = 4_000_000


@dataclass(slots=True)
class Population:
    """The numbers of objects that a store was filled with."""

    namespaces: int = 0
    services: int = 0
    headless: int = 0
    external: int = 0
    dual: int = 0
    slices: int = 0
    endpoints: int = 0
    pods: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a churning cluster; ``at_s`` is time.monotonic just before watchers could hear of it."""

    at_s: float
    # replaced, ready, unready, service_added, service_removed
    what: str
    namespace: str
    service: str
    headless: bool
    # The added address and the removed address; for a service its cluster address.
    added: str = ""
    removed: str = ""
    rv: int = 0


def fill(
    store: Store,
    *,
    services: int = 100,
    endpoints: int = 10,
    namespaces: int = 0,
    pods: bool = False,
    seed: int = 1,
) -> Population:
    """Fills a store. 10% of the services are headless, 1% ExternalName, 5% dual-stack, the others ClusterIP."""
    rng = random.Random(seed)
    made = Population(namespaces=namespaces or max(1, min(200, services // 50)))
    names = [f"ns-{index:03d}" for index in range(made.namespaces)]
    for name in ["default", "kube-system", *names]:
        store.put(objects.namespace(name, labels={"team": f"team-{rng.randrange(5)}"}))
    for index in range(services):
        _add_service(store, rng, made, index, names[rng.randrange(len(names))], endpoints, pods)
    return made


def _add_service(
    store: Store, rng: random.Random, made: Population, index: int, namespace: str, endpoints: int, pods: bool
) -> None:
    name = f"svc-{index:05d}"
    labels = {"app": name, "tier": "front" if index % 2 else "back"}
    made.services += 1
    share = index % 100
    if share == 99:
        made.external += 1
        store.put(objects.service(name, namespace, external_name=f"{name}.example.com", labels=labels))
        return
    headless, dual = share % 10 == 5, share % 20 == 3
    made.headless += headless
    made.dual += dual
    addresses = [] if headless else [str(ipaddress.IPv4Address(_SERVICE_BASE + index))]
    if dual:
        addresses.append(str(ipaddress.IPv6Address(_SERVICE6_BASE + index)))
    service = objects.service(
        name, namespace, cluster_ips=addresses, ports=_PORTS, labels=labels, selector={"app": name}
    )
    uid = service["metadata"]["uid"] = store.uid()
    store.put(service)
    base = made.endpoints
    made.endpoints += endpoints
    for family in (4, 6) if dual else (4,):
        entries = [_endpoint(rng, namespace, name, base + number, headless, family) for number in range(endpoints)]
        for start in range(0, max(1, len(entries)), MAX_ENDPOINTS_PER_SLICE):
            chunk = entries[start : start + MAX_ENDPOINTS_PER_SLICE]
            made.slices += 1
            store.put(_slice(namespace, name, chunk, uid, headless, family, start, rng))
    if pods:
        for number in range(base, base + endpoints):
            made.pods += 1
            pod = objects.pod(f"{name}-{number}", namespace, ip=_address(number, 4), node=_node(number))
            store.put(pod)


def _slice(
    namespace: str,
    service: str,
    entries: list[objects.Object],
    uid: str,
    headless: bool,
    family: int,
    start: int,
    rng: random.Random,
) -> objects.Object:
    suffix = "".join(rng.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
    return objects.slice_(
        f"{service}-{family}{start}{suffix}",
        namespace,
        service=service,
        endpoints=entries or None,
        ports=_PORTS,
        family=f"IPv{family}",
        labels={"app": service},
        annotations={TRIGGER: "2026-11-23T05:47:51Z"},
        owner_uid=uid,
        headless=headless,
    )


def _endpoint(
    rng: random.Random, namespace: str, service: str, number: int, headless: bool, family: int
) -> objects.Object:
    return {
        "addresses": [_address(number, family)],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        **({"hostname": f"{service}-{number}"} if headless and number % 2 else {}),
        "targetRef": {
            "kind": "Pod",
            "namespace": namespace,
            "name": f"{service}-{number}",
            "uid": f"00000000-0000-4000-8000-{number:012d}",
        },
        "nodeName": _node(number),
        "zone": _ZONES[number % 3],
    }


def _address(number: int, family: int) -> str:
    if family == 6:
        return str(ipaddress.IPv6Address(_POD6_BASE + number))
    value = _POD_BASE + number
    return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def _node(number: int) -> str:
    return f"node-{number % 300:03d}"


@dataclass
class Churn:
    """Changes a cluster at a rate: endpoints are replaced or flip their readiness, services come and go."""

    store: Store
    per_second: float = 50.0
    seed: int = 1
    # The weight of each kind of change.
    weights: dict[str, int] = field(default_factory=lambda: {"replace": 60, "flip": 30, "add": 5, "remove": 5})
    log: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._next = 0
        self._own: list[tuple[str, str, str]] = []

    async def run(self, seconds: float | None = None) -> list[Change]:
        """Churns for a time, or until it is cancelled; returns the log."""
        begin = time.monotonic()
        done = 0
        while seconds is None or time.monotonic() - begin < seconds:
            due = int((time.monotonic() - begin) * self.per_second)
            for _ in range(min(due - done, 1000)):
                self.step()
            done = due
            await asyncio.sleep(max(0.0, begin + (done + 1) / self.per_second - time.monotonic()))
        return self.log

    def step(self) -> Change | None:
        """Make one change; None if there is nothing to change."""
        what = self._rng.choices(list(self.weights), list(self.weights.values()))[0]
        if what == "add":
            change: Change | None = self._add()
        elif what == "remove" and self._own:
            change = self._remove()
        else:
            change = self._change(flip=what == "flip")
        if change is not None:
            self.log.append(change)
        return change

    def _change(self, *, flip: bool) -> Change | None:
        keys = self.store.keys(SLICES.plural)
        if not keys:
            return None
        namespace, name = keys[self._rng.randrange(len(keys))].split("/")
        obj = self.store.get(SLICES.plural, namespace, name)
        if not obj["endpoints"]:
            return None
        entry = obj["endpoints"][self._rng.randrange(len(obj["endpoints"]))]
        address = entry["addresses"][0]
        obj["metadata"].setdefault("annotations", {})[TRIGGER] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        added, removed = "", ""
        conditions = entry["conditions"]
        if flip:
            ready = not conditions.get("ready", True)
            conditions["ready"] = ready
            conditions["serving"] = ready
            added, removed = (address, "") if ready else ("", address)
            what = "ready" if ready else "unready"
        else:
            added, removed, what = self._fresh(6 if ":" in address else 4), address, "replaced"
            entry["addresses"] = [added]
            conditions |= {"ready": True, "serving": True}
        labels = obj["metadata"]["labels"]
        headless = "service.kubernetes.io/headless" in labels
        at_s = time.monotonic()
        rv = self.store.put(obj)
        return Change(at_s, what, namespace, labels["kubernetes.io/service-name"], headless, added, removed, rv)

    def _fresh(self, family: int) -> str:
        self._next += 1
        return _address(_CHURN_OFFSET + self._next, family)

    def _add(self) -> Change:
        self._next += 1
        namespaces = self.store.keys("namespaces")
        namespace = namespaces[self._rng.randrange(len(namespaces))] if namespaces else "default"
        name = f"churn-{self.seed}-{self._next}"
        address = str(ipaddress.IPv4Address(_SERVICE_BASE + 200_000 + self._next))
        at_s = time.monotonic()
        service = objects.service(name, namespace, cluster_ips=[address], ports=_PORTS, selector={"app": name})
        rv = self.store.put(service)
        self._own.append((namespace, name, address))
        return Change(at_s, "service_added", namespace, name, False, address, "", rv)

    def _remove(self) -> Change:
        namespace, name, address = self._own.pop(self._rng.randrange(len(self._own)))
        at_s = time.monotonic()
        rv = self.store.delete(SERVICES.plural, namespace, name)
        return Change(at_s, "service_removed", namespace, name, False, "", address, rv)


def summary(store: Store) -> dict[str, Any]:
    """How many objects there are, and the newest version."""
    return {"resourceVersion": store.rv, **{plural: store.count(plural) for plural in store.tables}}
