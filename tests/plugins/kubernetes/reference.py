"""What a cluster's names answer, from the specification alone: slow, obvious, no data structure but lists.

Kubernetes DNS specification 1.1.0 and the behaviour of CoreDNS's kubernetes plugin, over the objects as the API
server gives them. Names and records are text; every question looks at every object.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any

from tests.plugins.kubernetes.support import NOW, Options, soa_text

Object = dict[str, Any]
SERVICE_NAME = "kubernetes.io/service-name"
IMPORT_NAME = "multicluster.kubernetes.io/service-name"
IMPORT_CLUSTER = "multicluster.kubernetes.io/source-cluster"
MAX_CNAMES = 11
MAX_LOOKUPS = 8


@dataclass
class Answer:
    """A reply: records as text, sections as sets."""

    rcode: str = "NOERROR"
    answer: list[str] = field(default_factory=list)
    authority: list[str] = field(default_factory=list)
    additional: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """In the form of support.summary, without AA."""
        return {
            "rcode": self.rcode,
            "answer": sorted(set(self.answer)),
            "authority": sorted(set(self.authority)),
            "additional": sorted(set(self.additional)),
        }


class NoSuchName(Exception):
    """The name does not exist."""


@dataclass
class Item:
    """One candidate: what CoreDNS calls a service. name: the owner that SRV points to."""

    host: str
    port: int | None
    name: str


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_label(text: str) -> bool:
    """Whether every resolver takes it for a label."""
    return re.fullmatch(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", text) is not None


def of_family(address: str, address_type: str | None) -> bool:
    parsed = ipaddress.ip_address(address)
    if address_type == "IPv6":
        return isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None
    return isinstance(parsed, ipaddress.IPv4Address)


def is_target(name: str) -> bool:
    """Whether an FQDN slice may lead there."""
    labels = name.removesuffix(".").split(".")
    return all(is_label(one) for one in labels) and len(name.removesuffix(".")) <= 253 and not is_address(name)


def type_of(address: str) -> str:
    if not is_address(address):
        return "CNAME"
    return "A" if "." in address else "AAAA"


def unique(items: list[str]) -> list[str]:
    return list(dict.fromkeys(items))


def below(name: str, zone: str) -> bool:
    """Whether name is zone or below it, without case."""
    name, zone = name.lower(), zone.lower()
    return name == zone or zone == "." or name.endswith("." + zone)


class Reference:
    """The objects of one cluster under one block's options."""

    def __init__(self, objects: list[Object], options: Options) -> None:
        self.objects = objects
        self.options = options

    # -------------------------------------------------------------------------------------------- objects

    def of_kind(self, kind: str) -> list[Object]:
        return [one for one in self.objects if one["kind"] == kind]

    def exposed(self, namespace: str) -> bool:
        if self.options.namespaces and namespace not in self.options.namespaces:
            return False
        return any(one["metadata"]["name"] == namespace for one in self.of_kind("Namespace"))

    def find(self, kind: str, name: str, namespace: str) -> Object | None:
        for one in self.of_kind(kind):
            if one["metadata"]["name"] == name and one["metadata"]["namespace"] == namespace:
                return one
        return None

    def slices(self, label: str, name: str, namespace: str) -> list[Object]:
        if label == SERVICE_NAME and self.options.noendpoints:
            return []
        return [
            one
            for one in self.of_kind("EndpointSlice")
            if one["metadata"]["namespace"] == namespace
            and (one["metadata"].get("labels") or {}).get(label) == name
        ]

    def ready(self, one: Object) -> list[tuple[str, str, str | None]]:
        """(address, endpoint's name, topology zone) of a slice's ready endpoints."""
        found = []
        for endpoint in one.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            for spelled in endpoint.get("addresses") or []:
                if one.get("addressType") == "FQDN":
                    if not is_target(spelled):
                        continue
                    address = spelled.removesuffix(".") + "."
                elif not is_address(spelled) or not of_family(spelled, one.get("addressType")):
                    continue
                else:
                    address = str(ipaddress.ip_address(spelled))
                name = endpoint.get("hostname") or ""
                pod = (endpoint.get("targetRef") or {}).get("name") or ""
                if not name and self.options.endpoint_pod_names:
                    name = pod
                if not is_label(name):
                    name = spelled if one.get("addressType") == "FQDN" else address
                    name = name.replace(".", "-").replace(":", "-")
                    if ":" in address and name.endswith("-"):
                        name += "0"
                found.append((address, name, (endpoint.get("zone") or "").lower() or None))
        # What a slice says twice counts once.
        return list(dict.fromkeys(found))

    @staticmethod
    def ports(ports: list[Object] | None) -> list[tuple[int | None, str, str]]:
        """(number, protocol, name); one without number where there are no ports."""
        found = [
            (one.get("port"), (one.get("protocol") or "").lower(), (one.get("name") or "").lower())
            for one in ports or []
        ]
        return list(dict.fromkeys(found)) or [(None, "", "")]

    @staticmethod
    def cluster_ips(service: Object) -> list[str]:
        return service["spec"].get("clusterIPs") or [service["spec"].get("clusterIP") or ""]

    def headless(self, service: Object) -> bool:
        if service["kind"] == "ServiceImport":
            return service["spec"].get("type") == "Headless"
        return service["spec"].get("type") != "ExternalName" and self.cluster_ips(service)[0] == "None"

    # ----------------------------------------------------------------------------------------------- names

    def zone_of(self, qname: str) -> str | None:
        """The longest zone that has the name, as the name spells it."""
        zones = [zone for zone in self.options.zones if below(qname, zone)]
        if not zones:
            return None
        longest = max(zones, key=len)
        return qname[len(qname) - len(longest) :]

    def candidates(self, labels: list[str], zone: str, reverse: bool) -> tuple[list[Item], str | None, bool]:
        """(items, ExternalName's target, zonal): what the labels left of the zone have. Raises NoSuchName."""
        if not labels or labels in (["svc"], ["pod"]):
            return [], None, False
        if labels[-1] not in ("svc", "pod"):
            raise NoSuchName
        if reverse:
            raise NoSuchName
        namespace = labels[-2]
        if not self.exposed(namespace):
            raise NoSuchName
        if labels[-1] == "pod":
            return self.pod(labels, namespace, zone), None, False
        if len(labels) == 2:
            return [], None, False
        return self.service(labels[:-3], labels[-3], namespace, zone)

    def pod(self, labels: list[str], namespace: str, zone: str) -> list[Item]:
        if self.options.pods == "disabled":
            raise NoSuchName
        if len(labels) == 2:
            return []
        if len(labels) > 5:
            raise NoSuchName
        name = labels[-3]
        dotted = name.count("-") == 3 and "--" not in name
        address = name.replace("-", "." if dotted else ":")
        if not is_address(address):
            raise NoSuchName
        if self.options.pods == "verified":
            pods = [
                one
                for one in self.of_kind("Pod")
                if one["metadata"]["namespace"] == namespace
                and one["status"].get("phase") not in ("Succeeded", "Failed", "Unknown")
                and one["status"].get("podIP") == address
            ]
            if not pods:
                raise NoSuchName
        parsed = ipaddress.ip_address(address)
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        return [Item(str(parsed), 0, f"{name}.{namespace}.pod.{zone}")]

    def service(
        self, extra: list[str], name: str, namespace: str, zone: str
    ) -> tuple[list[Item], str | None, bool]:
        multicluster = any(below(zone, one) for one in self.options.multicluster)
        endpoint = port = protocol = cluster = topology = ""
        prefer = False
        if len(extra) == 1:
            endpoint = extra[0]
        elif len(extra) == 2:
            if multicluster and not extra[0].startswith("_") and not extra[1].startswith("_"):
                endpoint, cluster = extra
            else:
                port, protocol = (one.removeprefix("_") for one in extra)
        elif len(extra) > 2:
            if not self.options.zonal or multicluster or extra[-1] != "_zone":
                raise NoSuchName
            if extra[-2] not in ("pin", "prefer"):
                raise NoSuchName
            prefer = extra[-2] == "prefer"
            topology = ".".join(extra[:-2])
        service = self.find("ServiceImport" if multicluster else "Service", name, namespace)
        if service is None:
            raise NoSuchName
        slices = self.slices(IMPORT_NAME if multicluster else SERVICE_NAME, name, namespace)
        external = not multicluster and service["spec"].get("type") == "ExternalName"
        headless = self.headless(service)
        empty = not any(self.ready(one) for one in slices)
        if self.options.ignore_empty_service and not external and not headless and empty:
            raise NoSuchName
        if topology and not headless:
            raise NoSuchName
        if external:
            if endpoint or port or protocol or is_address(service["spec"]["externalName"]):
                raise NoSuchName
            return [], service["spec"]["externalName"].rstrip(".") + ".", False

        def fits(one: tuple[int | None, str, str]) -> bool:
            return (not protocol or one[1] == protocol) and (not port or one[2] == port)

        base = f"{name}.{namespace}.svc.{zone}"
        if not headless and not endpoint:
            matching = [one for one in self.ports(service["spec"].get("ports")) if fits(one)]
            if multicluster and not service["spec"].get("ports"):
                matching = []
            if not matching:
                raise NoSuchName
            addresses = service["spec"].get("ips") or [] if multicluster else self.cluster_ips(service)
            return [Item(address, one[0], base) for one in matching for address in addresses], None, False

        def collect(wanted: str) -> list[Item]:
            found = []
            for one in slices:
                identity = (one["metadata"].get("labels") or {}).get(IMPORT_CLUSTER, "") if multicluster else ""
                for address, text, place in self.ready(one):
                    if wanted and place != wanted:
                        continue
                    if endpoint and (text.lower() != endpoint or identity.lower() != cluster):
                        continue
                    target = f"{text}.{identity}.{base}" if identity else f"{text}.{base}"
                    if not is_address(address):
                        target = address
                    found += [Item(address, p[0], target) for p in self.ports(one.get("ports")) if fits(p)]
            return found

        items = collect(topology)
        if not items and prefer:
            items = collect("")
        if not items and not topology:
            raise NoSuchName
        return items, None, bool(topology)

    # ------------------------------------------------------------------------------------------- addresses

    def local_records(self, zone: str) -> list[tuple[str, str]]:
        """(name, address) of the zone's nameservers."""
        found: list[tuple[str, str]] = []
        known = False
        for local in self.options.local:
            for one in self.of_kind("EndpointSlice"):
                name = (one["metadata"].get("labels") or {}).get(SERVICE_NAME)
                if not name or self.options.noendpoints:
                    continue
                if local not in [address for address, _, _ in self.ready(one)]:
                    continue
                known = True
                service = self.find("Service", name, one["metadata"]["namespace"])
                if service is None or service["spec"].get("type") == "ExternalName":
                    continue
                base = f"{name}.{one['metadata']['namespace']}.svc.{zone}"
                if self.headless(service):
                    found += [(f"{text}.{base}", address) for address, text, _ in self.ready(one)]
                else:
                    found += [(base, address) for address in self.cluster_ips(service)]
        if not known:
            found = [(f"ns.dns.{zone}", local) for local in self.options.local]
        return list(dict.fromkeys(found))

    def addresses(self, qname: str, zone: str, qtype: str, cnames: int, lookups: int) -> list[str]:
        """A or AAAA records of a name and of what its CNAMEs lead to. Raises NoSuchName."""
        labels = self.labels_of(qname, zone)
        if labels == ["ns", "dns"]:
            hosts = unique([address for _, address in self.local_records(zone) if type_of(address) == qtype])
            return [f"{qname} {self.options.ttl} IN {qtype} {host}" for host in hosts]
        items, target, _ = self.candidates(labels, zone, self.is_reverse(qname))
        hosts = unique([one.host for one in items if type_of(one.host) == qtype])
        found = [f"{qname} {self.options.ttl} IN {qtype} {host}" for host in hosts]
        if target is None:
            # An owner has one CNAME record: the first name of FQDN slices counts.
            target = next((one.host for one in items if type_of(one.host) == "CNAME"), None)
        if target is None or below(target, qname) or cnames == MAX_CNAMES:
            return found
        cname = f"{qname} {self.options.ttl} IN CNAME {target}"
        if below(target, zone):
            try:
                spelled = target[len(target) - len(zone) :]
                rest = self.addresses(target, spelled, qtype, cnames + 1, lookups)
            except NoSuchName:
                rest = []
            return [*found, cname, *rest] if rest else found
        return [*found, cname, *self.answer(target, qtype, lookups + 1).answer]

    @staticmethod
    def is_reverse(qname: str) -> bool:
        return qname.lower().endswith((".in-addr.arpa.", ".ip6.arpa."))

    @staticmethod
    def labels_of(qname: str, zone: str) -> list[str]:
        left = qname[: len(qname) - len(zone)].rstrip(".").lower()
        return left.split(".") if left else []

    # ------------------------------------------------------------------------------------------------ types

    def pointers(self, address: str) -> list[str]:
        """The names of an address. Raises NoSuchName."""
        suffix = f"svc.{self.options.primary}"

        def shown(one: Object) -> bool:
            return not self.options.namespaces or self.exposed(one["metadata"]["namespace"])

        for one in self.of_kind("Service"):
            if one["spec"].get("type") != "ExternalName" and address in self.cluster_ips(one) and shown(one):
                return [f"{one['metadata']['name']}.{one['metadata']['namespace']}.{suffix}"]
        found = []
        for one in [] if self.options.noendpoints else self.of_kind("EndpointSlice"):
            service = (one["metadata"].get("labels") or {}).get(SERVICE_NAME)
            if service and shown(one):
                found += [
                    f"{text}.{service}.{one['metadata']['namespace']}.{suffix}"
                    for each, text, _ in self.ready(one)
                    if each == address
                ]
        if not found:
            raise NoSuchName
        return unique(found)

    def records(self, qname: str, zone: str, qtype: str, lookups: int) -> tuple[list[str], list[str]]:
        """(answer, additional) of a question in a zone. Raises NoSuchName."""
        ttl = self.options.ttl
        labels = self.labels_of(qname, zone)
        reverse = self.is_reverse(qname)
        if qtype in ("A", "AAAA"):
            return self.addresses(qname, zone, qtype, 0, lookups), []
        if qtype == "SOA":
            return ([soa_text(zone, ttl)] if not labels else []), []
        if qtype == "TXT":
            if labels == ["dns-version"]:
                return [f'{qname} 28800 IN TXT "1.1.0"'], []
            items, target, zonal = self.candidates(labels, zone, reverse)
            if not items and target is None and not zonal:
                raise NoSuchName
            return [], []
        if qtype == "PTR":
            address = address_of(qname)
            if address:
                return [f"{qname} {ttl} IN PTR {name}" for name in self.pointers(address)], []
            self.candidates(labels, zone, reverse)
            return [], []
        if qtype == "NS" and not labels:
            names = self.local_records(zone)
            return (
                [f"{qname} {ttl} IN NS {name}" for name in unique([name for name, _ in names])],
                [f"{name} {ttl} IN {type_of(address)} {address}" for name, address in names],
            )
        if labels == ["ns", "dns"]:
            return [], []
        items, target, _ = self.candidates(labels, zone, reverse)
        if target is None:
            target = next((one.host for one in items if type_of(one.host) == "CNAME"), None)
        if qtype == "CNAME" and target is not None:
            return [f"{qname} {ttl} IN CNAME {target}"], []
        if qtype != "SRV":
            return [], []
        weight = max(1, 100 // len(items)) if items else 0
        ported = [one for one in items if one.port is not None]
        return (
            unique([f"{qname} {ttl} IN SRV 0 {weight} {one.port} {one.name}" for one in ported]),
            unique(
                [f"{one.name} {ttl} IN {type_of(one.host)} {one.host}" for one in ported if is_address(one.host)]
            ),
        )

    def answer(self, qname: str, qtype: str, lookups: int = 0) -> Answer:
        """The reply to a question, as of a server that has this block only."""
        zone = self.zone_of(qname)
        if zone is None or lookups > MAX_LOOKUPS:
            return Answer("REFUSED")
        try:
            answer, additional = self.records(qname, zone, qtype, lookups)
        except NoSuchName:
            return Answer("NXDOMAIN", authority=[soa_text(zone, self.options.ttl, NOW)])
        if not answer:
            return Answer("NOERROR", authority=[soa_text(zone, self.options.ttl, NOW)])
        return Answer("NOERROR", answer, [], additional)


def address_of(qname: str) -> str:
    """The address whose reverse name this is, or nothing."""
    labels = qname.lower().rstrip(".").split(".")
    if labels[-2:] == ["in-addr", "arpa"] and len(labels) == 6:
        text = ".".join(reversed(labels[:4]))
        return text if is_address(text) else ""
    if labels[-2:] == ["ip6", "arpa"] and len(labels) == 34 and all(len(one) == 1 for one in labels[:32]):
        digits = "".join(reversed(labels[:32]))
        try:
            return str(ipaddress.IPv6Address(bytes.fromhex(digits)))
        except ValueError:
            return ""
    return ""
