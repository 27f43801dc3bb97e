"""Lists zones of Azure DNS, with azure-identity and azure-core. Runs in a process of its own: see
hostedzones/child.py.

    python -m fastdns.plugins.azure.listing

https://learn.microsoft.com/rest/api/dns/record-sets/list-by-dns-zone
https://learn.microsoft.com/rest/api/dns/privatedns/record-sets/list
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from fastdns.errors import SourceError
from fastdns.hostedzones.child import Lister, main
from fastdns.hostedzones.config import HostedZone
from fastdns.hostedzones.records import RecordSet, quoted
from fastdns.plugins.azure.config import Access, endpoints

CONNECT_S, READ_S = 5, 20
RETRIES = 2
# A zone of the API, and the version of the API.
PUBLIC = ("dnsZones/{zone}/recordsets", "2018-05-01")
PRIVATE = ("privateDnsZones/{zone}/ALL", "2018-09-01")
# Where a record set has its records, in lower case: their type, and the fields of the rdata in its order.
FIELDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "arecords": ("A", ("ipv4address",)),
    "aaaarecords": ("AAAA", ("ipv6address",)),
    "cnamerecord": ("CNAME", ("cname",)),
    "mxrecords": ("MX", ("preference", "exchange")),
    "nsrecords": ("NS", ("nsdname",)),
    "ptrrecords": ("PTR", ("ptrdname",)),
    "srvrecords": ("SRV", ("priority", "weight", "port", "target")),
    "soarecord": (
        "SOA",
        ("host", "email", "serialnumber", "refreshtime", "retrytime", "expiretime", "minimumttl"),
    ),
}


def open_lister(access: Access) -> Lister:
    """Raises what Azure's libraries raise, FastdnsError."""
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, ProxyPolicy, RetryPolicy
    from azure.core.rest import HttpRequest

    login, manager = endpoints(access.environment)
    credential = credential_of(access, login)
    policies = [
        ProxyPolicy(), RetryPolicy(retry_total=RETRIES),
        BearerTokenCredentialPolicy(credential, f"{manager}/.default"),
    ]  # fmt: skip
    client = PipelineClient(manager, policies=policies, connection_timeout=CONNECT_S, read_timeout=READ_S)
    path, version = PRIVATE if access.private else PUBLIC

    def record_sets(zone: HostedZone) -> Iterator[RecordSet]:
        subscription, group, name = (
            quote(one, safe="") for one in (access.subscription, zone.id, zone.zone.removesuffix("."))
        )
        url: str | None = (
            f"{manager}/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network"
            f"/{path.format(zone=name)}?api-version={version}"
        )
        while url:
            page = body_of(client.send_request(HttpRequest("GET", url)))
            for one in page.get("value", ()):
                yield from record_sets_of(one["properties"])
            before, url = url, page.get("nextLink")
            # The token is for the API only.
            if url and (url == before or not url.startswith(f"{manager}/")):
                raise SourceError(f"the next page of the listing is {url!r}")

    return record_sets


def credential_of(access: Access, login: str) -> Any:
    """The client of the Corefile; or, without a secret, that of the environment, of the workload or the machine."""
    from azure.identity import (
        ChainedTokenCredential,
        ClientSecretCredential,
        EnvironmentCredential,
        ManagedIdentityCredential,
        WorkloadIdentityCredential,
    )

    if access.secret:
        return ClientSecretCredential(access.tenant, access.client, access.secret, authority=login)
    chain: list[Any] = [EnvironmentCredential(authority=login)]
    # This process may have none.
    with contextlib.suppress(ValueError):
        chain.append(WorkloadIdentityCredential(tenant_id=access.tenant or None, client_id=access.client or None))
    chain.append(ManagedIdentityCredential(client_id=access.client or None))
    return ChainedTokenCredential(*chain)


def body_of(response: Any) -> Any:
    """What an answer says. Raises SourceError where that is an error."""
    if response.status_code == 200:
        return response.json()
    try:
        error = response.json()["error"]
        why = f"{error['code']}: {error['message']}"
    except (ValueError, LookupError, TypeError):
        why = response.reason
    raise SourceError(f"{response.status_code}: {why}")


def record_sets_of(properties: dict[str, Any]) -> Iterator[RecordSet]:
    """A record set of the API: the fields of public and of private zones differ in case."""
    found = {name.lower(): value for name, value in properties.items()}
    owner, ttl_s = found["fqdn"], found.get("ttl", 0)
    empty = True
    for name, (rrtype, fields) in FIELDS.items():
        if records := found.get(name):
            empty = False
            listed = records if isinstance(records, list) else [records]
            yield RecordSet(owner, rrtype, ttl_s, [" ".join(values(one, fields)) for one in listed])
    if records := found.get("txtrecords"):
        empty = False
        texts = [" ".join(quoted(text.encode()) for text in one["value"]) for one in records]
        yield RecordSet(owner, "TXT", ttl_s, texts)
    if records := found.get("caarecords"):
        empty = False
        texts = [f"{one['flags']} {one['tag']} {quoted(one['value'].encode())}" for one in records]
        yield RecordSet(owner, "CAA", ttl_s, texts)
    target = (found.get("targetresource") or {}).get("id")
    if empty and target:
        yield RecordSet(owner, "alias", 0, (), f"it is an alias of {target}, and has no records")


def values(record: dict[str, Any], fields: tuple[str, ...]) -> list[str]:
    """What a record has in these fields."""
    found = {name.lower(): value for name, value in record.items()}
    return [str(found[field]) for field in fields]


if __name__ == "__main__":
    main(lambda fields: open_lister(Access(**fields)))
