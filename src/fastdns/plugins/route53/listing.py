"""Lists hosted zones of Route 53, with botocore. Runs in a process of its own: see hostedzones/child.py.

    python -m fastdns.plugins.route53.listing

https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from fastdns.hostedzones.child import Lister, main
from fastdns.hostedzones.config import HostedZone
from fastdns.hostedzones.records import RecordSet
from fastdns.plugins.route53.config import Access

CONNECT_S = 5
READ_S = 20
ATTEMPTS = 3
# Route 53 gives no more.
PAGE_SETS = 300
# Without a region. That decides only in which partition of AWS the API is.
REGION = "us-east-1"
# As Go reads a truth value.
TRUE = ("1", "t", "T", "TRUE", "true", "True")

_ESCAPE = re.compile(r"\\(?:([0-3][0-7][0-7])|.)", re.DOTALL)


def open_lister(access: Access) -> Lister:
    """Raises botocore's exceptions."""
    from botocore.config import Config

    session = session_of(access)
    client = session.create_client(
        "route53",
        region_name=region_of(session, access),
        endpoint_url=access.endpoint or None,
        aws_access_key_id=access.key_id or None,
        aws_secret_access_key=access.secret_key or None,
        config=Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        ),
    )

    def record_sets(zone: HostedZone) -> Iterator[RecordSet]:
        pages = client.get_paginator("list_resource_record_sets")
        for page in pages.paginate(HostedZoneId=zone.id, PaginationConfig={"PageSize": PAGE_SETS}):
            yield from map(record_set, page["ResourceRecordSets"])

    return record_sets


def session_of(access: Access) -> Any:
    """Where credentials come from: the Corefile's keys, its profile, or whatever AWS's own tools would use."""
    from botocore.session import Session

    if access.key_id or not access.profile:
        return Session()
    session = Session(profile=access.profile)
    if access.shared_file:
        session.set_config_variable("credentials_file", access.shared_file)
        if os.environ.get("AWS_SDK_LOAD_CONFIG") not in TRUE:
            session.set_config_variable("config_file", access.shared_file)
    return session


def region_of(session: Any, access: Access) -> str:
    """The region: of the environment, of the profile, or of the machine."""
    found = os.environ.get("AWS_REGION") or session.get_config_variable("region")
    if not found and not access.endpoint:
        from botocore.utils import IMDSRegionProvider

        found = IMDSRegionProvider(session).provide()
    return found or REGION


def record_set(one: dict[str, Any]) -> RecordSet:
    """A record set of the API. Weighted ones, and others of one name and type, come one by one."""
    owner, rrtype = unescaped(one["Name"]), one["Type"]
    if "ResourceRecords" not in one:
        target = one.get("AliasTarget", {}).get("DNSName", "something")
        return RecordSet(owner, rrtype, 0, (), f"it is an alias of {target}, and has no records")
    return RecordSet(owner, rrtype, one["TTL"], [unescaped(record["Value"]) for record in one["ResourceRecords"]])


def unescaped(text: str) -> str:
    """Route 53 escapes characters by their octal numbers, zone files (RFC 1035 section 5.1) by the decimal ones."""
    return _ESCAPE.sub(lambda found: f"\\{int(found[1], 8):03d}" if found[1] else found[0], text)


if __name__ == "__main__":
    main(lambda fields: open_lister(Access(**fields)))
