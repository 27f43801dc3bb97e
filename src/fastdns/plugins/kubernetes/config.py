"""The options of kubernetes: the cluster, the objects that are served, and how names are answered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import CLIENT_NAMES, BlockContext, search_path_of
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.keys import is_below_reverse_root, is_reverse
from fastdns.corefile.options import (
    Option,
    duration,
    extend,
    flag,
    integer,
    number,
    one_of,
    read_options,
    store,
    to_duration_s,
    to_int,
    to_zones,
    words,
)
from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.selectors import parse_selector

MAX_TTL_S = 3600
SNAPSHOT_MAX_AGE_S = 24 * 3600.0
GUARD_PERCENT = 50
GUARD_GRACE_S = 120.0
# The options of the connection to the API server, by the field that is set if the option is given.
CONNECTION = {
    "endpoints": "endpoint",
    "tls": "tls",
    "kubeconfig": "kubeconfig",
    "qps": "apiserver_qps",
    "burst": "apiserver_burst",
    "max_inflight": "apiserver_max_inflight",
}
# More options that need an API server. Manifests are files already, and they are not guarded.
API_SERVER = {**CONNECTION, "snapshot": "snapshot", "guard_percent": "guard"}


@dataclass(frozen=True, slots=True)
class Config:
    """The options of one kubernetes directive.

    zones: origins. primary: the zone into which PTR records point: the first forward zone, or in-addr.arpa. or
    ip6.arpa. if there is none. tls: certificate, key and CA. qps, burst, max_inflight: 0 if not given. labels,
    namespace_labels: selectors as text. pods: "disabled", "insecure" or "verified". fallthrough: zones whose
    unknown names go to the next plugin; None for none. manifests: files or directories, resolved against the root.
    snapshot: a file, resolved against the root. guard_percent: 0 is off. exposed: another plugin asks for EXPOSED.
    searched: another plugin asks for the search paths of clients. described: what is kept of pods, because the
    block reads it: "" for the name, and keys of labels.
    """

    zones: tuple[str, ...]
    primary: str
    endpoint: str | None = None
    tls: tuple[str, str, str] | None = None
    kubeconfig: str | None = None
    context: str | None = None
    qps: float = 0.0
    burst: int = 0
    max_inflight: int = 0
    namespaces: tuple[str, ...] = ()
    namespace_labels: str | None = None
    labels: str | None = None
    pods: str = "disabled"
    endpoint_pod_names: bool = False
    ttl_s: int = 5
    noendpoints: bool = False
    fallthrough: tuple[str, ...] | None = None
    ignore_empty_service: bool = False
    multicluster: tuple[str, ...] = ()
    zonal: bool = False
    startup_timeout_s: float = 5.0
    manifests: tuple[str, ...] = ()
    snapshot: str | None = None
    snapshot_max_age_s: float = SNAPSHOT_MAX_AGE_S
    guard_percent: int = GUARD_PERCENT
    guard_grace_s: float = GUARD_GRACE_S
    exposed: bool = False
    searched: bool = False
    described: tuple[str, ...] = ()


# What other plugins of the block may ask for: where Services are reached from outside of the cluster.
EXPOSED = "the addresses of Services outside of the cluster"
# Values of the pod that asks, as they are read anywhere in a block.
CLIENT_VALUE = re.compile(r"kubernetes/client-(?:namespace|pod-name|label/([A-Za-z0-9._/-]+))")
MAX_DESCRIBED = 32


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Parse the directive, which a block may have once. Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        fields["zones"] = to_zones(d, d.remaining_args()) or block.zones
        # CoreDNS treats the two roots of the reverse tree like other zones, and points PTR records into them. Here
        # that happens only if there is no forward zone.
        possible = [zone for zone in fields["zones"] if not is_below_reverse_root(zone)]
        if not possible:
            raise d.error("at least one zone that is no reverse zone is needed, or in-addr.arpa or ip6.arpa itself")
        fields["primary"] = next((zone for zone in possible if not is_reverse(zone)), possible[0])
        read_options(d, OPTIONS, fields, ENDING)
        _check_namespaces(d, fields)
        _check_zones(d, fields)
        _check_source(d, fields)
        fields["described"] = _described(d, block, fields)
    endpoint, *ignored = fields.pop("endpoints", (None,))
    if ignored:
        block.warnings.append(f"plugin/kubernetes: only the first endpoint is used, {endpoint}")
    manifests = tuple(block.resolve(path) for path in fields.pop("manifests", ()))
    searched = search_path_of("kubernetes") in block.asked
    if searched and fields.get("pods") != "verified":
        block.warnings.append(
            "plugin/kubernetes: another plugin asks for the search paths of pods; "
            "they are known only with pods verified"
        )
    if "snapshot" in fields:
        fields["snapshot"] = block.resolve(fields["snapshot"])
    exposed = EXPOSED in block.asked
    return Config(endpoint=endpoint, manifests=manifests, exposed=exposed, searched=searched, **fields)


def _described(d: Dispenser, block: BlockContext, fields: dict[str, Any]) -> tuple[str, ...]:
    """What is kept of pods: see Config."""
    texts = (*block.words, *block.asked) if block.value_zones is not None else ()
    read = [match for text in texts for match in CLIENT_VALUE.finditer(text)]
    if read and fields.get("pods") != "verified":
        block.warnings.append(f"plugin/kubernetes: {read[0][0]} is always empty: pods are known with pods verified")
        return ()
    found = {match[1] or "" for match in read if not match[0].endswith("client-namespace")}
    if CLIENT_NAMES in block.asked and fields.get("pods") == "verified":
        found.add("")
    if len(found) > MAX_DESCRIBED:
        raise d.error(f"at most {MAX_DESCRIBED} values of the pods that ask can be read, got {len(found)}")
    return tuple(sorted(found))


# Checks that concern several options


def _check_namespaces(d: Dispenser, fields: dict[str, Any]) -> None:
    if "namespaces" in fields and "namespace_labels" in fields:
        raise d.error("namespaces and namespace_labels cannot both be set")


def _check_zones(d: Dispenser, fields: dict[str, Any]) -> None:
    for zone in fields.get("multicluster", ()):
        if zone not in fields["zones"]:
            raise d.error(f"the multicluster zone {zone} is none of the zones {', '.join(fields['zones'])}")
    # Names with a topology zone are answered from the endpoints.
    if "zonal" in fields and "noendpoints" in fields:
        raise d.error("zonal and noendpoints cannot both be set")


def _check_source(d: Dispenser, fields: dict[str, Any]) -> None:
    given = [option for field, option in API_SERVER.items() if field in fields]
    if "manifests" in fields and given:
        raise d.error(f"manifests and {given[0]} cannot both be set")


# Options


def _tls(d: Dispenser) -> tuple[str, ...]:
    files = d.remaining_args()
    if len(files) != 3:
        raise d.arg_error("three files: certificate, key and CA")
    return tuple(files)


def _kubeconfig(d: Dispenser, fields: dict[str, Any]) -> None:
    args = d.remaining_args()
    if len(args) not in (1, 2):
        raise d.arg_error("a file, and optionally a context")
    fields["kubeconfig"] = args[0]
    fields["context"] = args[1] if len(args) == 2 else None


def _selector(d: Dispenser) -> str:
    text = " ".join(words(d, "a label selector, such as app=dns"))
    try:
        parse_selector(text)
    except SourceError as error:
        raise d.error(str(error)) from None
    return text


def _ignore(d: Dispenser) -> bool:
    if d.remaining_args() != ["empty_service"]:
        raise d.error("ignore takes one argument, empty_service")
    return True


def _fallthrough(d: Dispenser) -> tuple[str, ...]:
    return to_zones(d, d.remaining_args()) or (".",)


def _multicluster(d: Dispenser) -> tuple[str, ...]:
    return to_zones(d, list(words(d, "a zone")))


def _snapshot(d: Dispenser, fields: dict[str, Any]) -> None:
    args = d.remaining_args()
    if len(args) not in (1, 2):
        raise d.arg_error("a file, and optionally the greatest age")
    fields["snapshot"] = args[0]
    if len(args) == 2:
        fields["snapshot_max_age_s"] = to_duration_s(d, args[1], "the greatest age of snapshot", 1.0)


def _guard(d: Dispenser, fields: dict[str, Any]) -> None:
    args = d.remaining_args()
    if args == ["off"]:
        fields["guard_percent"] = 0
        return
    if len(args) not in (1, 2):
        raise d.arg_error("off, or a percentage, and optionally a duration")
    fields["guard_percent"] = to_int(d, args[0].removesuffix("%"), "the percentage of guard", 1, 99)
    if len(args) == 2:
        fields["guard_grace_s"] = to_duration_s(d, args[1], "the time of guard", 1.0)


OPTIONS: dict[str, Option] = {
    "endpoint": store("endpoints", words),
    "tls": store("tls", _tls),
    "kubeconfig": _kubeconfig,
    "apiserver_qps": store("qps", number(0.0)),
    "apiserver_burst": store("burst", integer(0)),
    "apiserver_max_inflight": store("max_inflight", integer(0)),
    "namespaces": extend("namespaces", words),
    "namespace_labels": store("namespace_labels", _selector),
    "labels": store("labels", _selector),
    "pods": store("pods", one_of("disabled", "insecure", "verified")),
    "endpoint_pod_names": store("endpoint_pod_names", flag),
    "ttl": store("ttl_s", integer(0, MAX_TTL_S)),
    "noendpoints": store("noendpoints", flag),
    "fallthrough": store("fallthrough", _fallthrough),
    "ignore": store("ignore_empty_service", _ignore),
    "multicluster": store("multicluster", _multicluster),
    "zonal": store("zonal", flag),
    "startup_timeout": store("startup_timeout_s", duration()),
    "manifests": extend("manifests", words),
    "snapshot": _snapshot,
    "guard": _guard,
}

# Options after which CoreDNS accepts the closing brace on the same line: see read_options.
ENDING = {"endpoint": 1, "namespaces": 0, "ttl": 1, "fallthrough": 0, "ignore": 1, "startup_timeout": 1}
