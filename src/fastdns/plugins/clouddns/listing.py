"""Lists managed zones of Google Cloud DNS, with google-auth. It is a process of its own: see hostedzones/child.py.

    python -m fastdns.plugins.clouddns.listing

https://cloud.google.com/dns/docs/reference/rest/v1/resourceRecordSets/list
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from fastdns.errors import SourceError
from fastdns.hostedzones.child import Lister, main
from fastdns.hostedzones.config import HostedZone
from fastdns.hostedzones.records import RecordSet
from fastdns.plugins.clouddns.config import Access

CONNECT_S, READ_S = 5, 20
RETRIES = 2
# Answers that may be others a moment later.
FOR_NOW = (429, 500, 502, 503)
# What the credentials may do is decided by the roles that they have.
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


def open_lister(access: Access) -> Lister:
    """Raises google-auth's exceptions."""
    import google.auth
    from google.auth.transport.requests import AuthorizedSession
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    if access.credentials:
        credentials, _ = google.auth.load_credentials_from_file(access.credentials, scopes=SCOPES)
    else:
        credentials, _ = google.auth.default(scopes=SCOPES)
    session = AuthorizedSession(credentials)
    retries = Retry(RETRIES, backoff_factor=0.5, status_forcelist=FOR_NOW, raise_on_status=False)
    session.mount("https://", HTTPAdapter(max_retries=retries))

    def record_sets(zone: HostedZone) -> Iterator[RecordSet]:
        project, _, name = zone.id.partition(":")
        url = (
            f"https://dns.{credentials.universe_domain}/dns/v1/projects/{quote(project, safe='')}"
            f"/managedZones/{quote(name, safe='')}/rrsets"
        )
        token = None
        while True:
            response = session.get(url, params={"pageToken": token} if token else {}, timeout=(CONNECT_S, READ_S))
            page = body_of(response)
            yield from map(record_set, page.get("rrsets", ()))
            before, token = token, page.get("nextPageToken")
            if not token:
                return
            if token == before:
                raise SourceError("the listing does not end: a page names itself as the next one")

    return record_sets


def body_of(response: Any) -> Any:
    """What an answer says. Raises SourceError where that is an error."""
    if response.ok:
        return response.json()
    try:
        why = response.json()["error"]["message"]
    except (ValueError, LookupError, TypeError):
        why = response.reason
    raise SourceError(f"{response.status_code}: {why}")


def record_set(one: dict[str, Any]) -> RecordSet:
    """A record set of the API."""
    name, rrtype = one["name"], one["type"]
    if "routingPolicy" in one and not one.get("rrdatas"):
        return RecordSet(name, rrtype, 0, (), "it has a routing policy, and no records of its own")
    return RecordSet(name, rrtype, int(one.get("ttl", 0)), one.get("rrdatas", ()))


if __name__ == "__main__":
    main(lambda fields: open_lister(Access(**fields)))
