"""Google Cloud DNS's API as far as DNS needs it: the record sets of managed zones, in pages; and tokens.

https://cloud.google.com/dns/docs/reference/rest/v1/resourceRecordSets/list
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.hostedzones.providers import Answer, Asked

HOSTS = ("dns.googleapis.com", "oauth2.googleapis.com")
ZONE = re.compile("/dns/v1/projects/([^/]+)/managedZones/([^/]+)(/rrsets)?")


def record_set(name: str, rrtype: str, rrdatas: Sequence[str], ttl_s: int = 300) -> dict[str, Any]:
    """A record set."""
    return {"kind": "dns#resourceRecordSet", "name": name, "type": rrtype, "ttl": ttl_s, "rrdatas": list(rrdatas)}


def apex(zone: str, serial: int = 1) -> list[dict[str, Any]]:
    """What each managed zone begins with."""
    soa = f"ns-cloud-a1.googledomains.com. cloud-dns-hostmaster.google.com. {serial} 21600 3600 259200 300"
    return [
        record_set(zone, "NS", ["ns-cloud-a1.googledomains.com."], 21600),
        record_set(zone, "SOA", [soa], 21600),
    ]


def write_credentials(file: Path) -> Path:
    """The key of a service account."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    said = {
        "type": "service_account", "project_id": "project", "private_key_id": "1", "private_key": key.decode(),
        "client_email": "dns@project.iam.gserviceaccount.com", "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }  # fmt: skip
    file.write_text(json.dumps(said))
    return file


@dataclass
class Api:
    """zones: by project and name, as project:name. page_sets: how many record sets a page has."""

    zones: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    page_sets: int = 2

    def answer(self, asked: Asked) -> Answer:
        """What the API says."""
        if asked.path == "/token":
            return said({"access_token": "TOKEN", "expires_in": 3600, "token_type": "Bearer"})
        if not asked.headers.get("authorization", "").startswith("Bearer "):
            return refused(401, "Request is missing required authentication credential")
        found = ZONE.fullmatch(asked.path)
        sets = self.zones.get(f"{found[1]}:{found[2]}") if found else None
        if found is None or sets is None:
            return refused(404, "The 'parameters.managedZone' resource named 'x' does not exist")
        if found[3] is None:
            return said({"kind": "dns#managedZone", "name": found[2]})
        at = int(asked.values.get("pageToken", "0"))
        page: dict[str, Any] = {
            "kind": "dns#resourceRecordSetsListResponse",
            "rrsets": sets[at : at + self.page_sets],
        }
        if at + self.page_sets < len(sets):
            page["nextPageToken"] = str(at + self.page_sets)
        return said(page)


def said(body: object) -> Answer:
    return Answer(json.dumps(body).encode())


def refused(status: int, message: str) -> Answer:
    """An error of the API's."""
    return Answer(json.dumps({"error": {"code": status, "message": message}}).encode(), status)
