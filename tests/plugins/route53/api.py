"""Route 53's API as far as DNS needs it: the record sets of hosted zones, in pages.

https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from tests.hostedzones.providers import Answer, Asked

NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
HOST = "route53.amazonaws.com"
# What a process needs to ask, beside the address.
ENVIRON = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI", "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}  # fmt: skip


@dataclass(frozen=True)
class Set:
    """A record set. alias: what it leads to, in place of values. identifier: of one among equal names and types."""

    name: str
    rrtype: str
    values: Sequence[str] = ()
    ttl_s: int = 300
    alias: str = ""
    identifier: str = ""

    def xml(self) -> str:
        """The element of the API."""
        said = f"<Name>{escape(self.name)}</Name><Type>{self.rrtype}</Type>"
        if self.identifier:
            said += f"<SetIdentifier>{self.identifier}</SetIdentifier><Weight>10</Weight>"
        if self.alias:
            return (
                f"<ResourceRecordSet>{said}<AliasTarget><HostedZoneId>Z35SXDOTRQ7X7K</HostedZoneId>"
                f"<DNSName>{self.alias}</DNSName><EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>"
                "</ResourceRecordSet>"
            )
        records = "".join(
            f"<ResourceRecord><Value>{escape(value)}</Value></ResourceRecord>" for value in self.values
        )
        return (
            f"<ResourceRecordSet>{said}<TTL>{self.ttl_s}</TTL><ResourceRecords>{records}</ResourceRecords>"
            "</ResourceRecordSet>"
        )


def apex(zone: str, serial: int = 1) -> list[Set]:
    """What each hosted zone begins with."""
    soa = f"ns-1.awsdns.example. awsdns-hostmaster.amazon.com. {serial} 7200 900 1209600 86400"
    return [Set(zone, "NS", ["ns-1.awsdns.example."], 172800), Set(zone, "SOA", [soa], 900)]


@dataclass
class Api:
    """zones: by id. page_sets: how many record sets a page has."""

    zones: dict[str, list[Set]] = field(default_factory=dict)
    page_sets: int = 2

    def answer(self, asked: Asked) -> Answer:
        """What the API says."""
        if asked.path == "/2013-04-01/hostedzonesbyname":
            listed = "<HostedZones/><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems>"
            return xml(
                f'<ListHostedZonesByNameResponse xmlns="{NAMESPACE}">{listed}</ListHostedZonesByNameResponse>'
            )
        found = re.fullmatch("/2013-04-01/hostedzone/([^/]+)/rrset", asked.path)
        if found is None or found[1] not in self.zones:
            message = f"No hosted zone found with ID: {found[1] if found else ''}"
            return error("NoSuchHostedZone", message, 404)
        sets = self.zones[found[1]]
        keys = [(one.name, one.rrtype, one.identifier) for one in sets]
        wanted = tuple(asked.values.get(name, "") for name in ("name", "type", "identifier"))
        at = keys.index(wanted) if wanted[0] else 0
        page, rest = sets[at : at + self.page_sets], sets[at + self.page_sets :]
        body = f"<ResourceRecordSets>{''.join(one.xml() for one in page)}</ResourceRecordSets>"
        body += f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated><MaxItems>300</MaxItems>"
        if rest:
            body += f"<NextRecordName>{escape(rest[0].name)}</NextRecordName>"
            body += f"<NextRecordType>{rest[0].rrtype}</NextRecordType>"
            if rest[0].identifier:
                body += f"<NextRecordIdentifier>{rest[0].identifier}</NextRecordIdentifier>"
        return xml(f'<ListResourceRecordSetsResponse xmlns="{NAMESPACE}">{body}</ListResourceRecordSetsResponse>')


def xml(body: str) -> Answer:
    return Answer(b'<?xml version="1.0"?>\n' + body.encode(), 200, "text/xml")


def error(code: str, message: str, status: int = 400) -> Answer:
    """An error of the API's."""
    body = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    said = f'<ErrorResponse xmlns="{NAMESPACE}">{body}<RequestId>1</RequestId></ErrorResponse>'
    return Answer(said.encode(), status, "text/xml")
