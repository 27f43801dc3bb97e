"""Azure's APIs as far as DNS needs them: the record sets of public and private zones, in pages; and tokens.

https://learn.microsoft.com/rest/api/dns/record-sets/list-by-dns-zone
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.hostedzones.providers import Answer, Asked

LOGIN, MANAGER = "login.microsoftonline.com", "management.azure.com"
HOSTS = (LOGIN, MANAGER)
SECRET = "8Q~secret"
ZONE = re.compile(
    "/subscriptions/[^/]+/resourceGroups/([^/]+)/providers/Microsoft.Network/"
    "(?:dnsZones/([^/]+)/(?:recordsets|all)|privateDnsZones/([^/]+)/ALL)"
)
# What CoreDNS and fastdns are given for access.
OPTIONS = f"""\
        tenant TENANT
        client CLIENT
        secret {SECRET}
        subscription SUBSCRIPTION
"""


def record_set(fqdn: str, ttl_s: int = 300, **records: Any) -> dict[str, Any]:
    """A record set of a public zone."""
    return {"name": fqdn, "properties": {"fqdn": fqdn, "TTL": ttl_s, **records}}


def apex(zone: str, serial: int = 1) -> list[dict[str, Any]]:
    """What each zone begins with."""
    soa = {
        "host": "ns1-01.azure-dns.com.", "email": "azuredns-hostmaster.microsoft.com", "serialNumber": serial,
        "refreshTime": 3600, "retryTime": 300, "expireTime": 2419200, "minimumTTL": 300,
    }  # fmt: skip
    return [
        record_set(zone, 172800, NSRecords=[{"nsdname": "ns1-01.azure-dns.com."}]),
        record_set(zone, 3600, SOARecord=soa),
    ]


def private(sets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same as the API for private zones spells it: without NS records."""
    spelled = {"TTL": "ttl", "ARecords": "aRecords", "SOARecord": "soaRecord", "TXTRecords": "txtRecords"}
    return [
        {**one, "properties": {spelled.get(name, name): value for name, value in one["properties"].items()}}
        for one in sets
        if "NSRecords" not in one["properties"]
    ]


@dataclass
class Api:
    """zones: by resource group, "public" or "private", and name. page_sets: how many record sets a page has.
    secret: of the client; "": any."""

    zones: dict[tuple[str, str, str], list[dict[str, Any]]] = field(default_factory=dict)
    page_sets: int = 2
    secret: str = SECRET

    def answer(self, asked: Asked) -> Answer:
        """What the APIs say."""
        if asked.host == LOGIN:
            return self.login(asked)
        if asked.headers.get("authorization") != "Bearer TOKEN":
            return refused(401, "AuthenticationFailed")
        found = ZONE.fullmatch(asked.path)
        kind = "public" if found and found[2] else "private"
        sets = self.zones.get((found[1], kind, found[2] or found[3])) if found else None
        if sets is None:
            return refused(404, "ResourceNotFound")
        at = int(asked.values.get("$skipToken", "0"))
        page: dict[str, Any] = {"value": sets[at : at + self.page_sets]}
        if at + self.page_sets < len(sets):
            version = asked.values["api-version"]
            page["nextLink"] = (
                f"https://{MANAGER}{asked.path}?api-version={version}&$skipToken={at + self.page_sets}"
            )
        return said(page)

    def login(self, asked: Asked) -> Answer:
        """Tokens, of versions 1 and 2, and what a client asks before."""
        base = f"https://{LOGIN}/{asked.path.split('/')[1]}"
        if asked.method == "GET" and "discovery" in asked.path:
            metadata = [{"preferred_network": LOGIN, "preferred_cache": LOGIN, "aliases": [LOGIN]}]
            discovered = f"{base}/v2.0/.well-known/openid-configuration"
            return said({"tenant_discovery_endpoint": discovered, "api-version": "1.1", "metadata": metadata})
        if asked.method == "GET":
            return said({
                "token_endpoint": f"{base}/oauth2/v2.0/token", "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            })  # fmt: skip
        if self.secret not in unquote(asked.body.decode()):
            return Answer(b'{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret"}', 401)
        now = int(time.time())
        return said({
            "token_type": "Bearer", "access_token": "TOKEN", "expires_in": 3599, "expires_on": str(now + 3599),
            "not_before": str(now), "resource": f"https://{MANAGER}/",
        })  # fmt: skip


def said(body: object) -> Answer:
    return Answer(json.dumps(body).encode())


def refused(status: int, code: str) -> Answer:
    """An error of the API's."""
    return Answer(json.dumps({"error": {"code": code, "message": "It is so."}}).encode(), status)
