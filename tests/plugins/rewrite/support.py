"""An upstream that answers from a table of records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.plugins.forward.engine.support import Asked, response

SOA = "test. 300 IN SOA ns.test. root.test. 1 7200 900 1209600 86400"


class Table:
    """The script of an upstream. records: by name and type, the records of the answer; "NS" and "+" in front of a
    record put it into the authority or the additional section. Other names do not exist."""

    def __init__(self, records: Mapping[tuple[str, str], Iterable[str]]) -> None:
        self.records = records

    def __call__(self, asked: Asked) -> dns.message.Message:
        query = asked.message
        question = query.question[0]
        reply = response(query)
        if query.edns >= 0:
            reply.use_edns(0, 0, 1232)
        key = (question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype))
        if key not in self.records:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            put(reply.authority, SOA)
            return reply
        for text in self.records[key]:
            if text.startswith("!"):
                reply.set_rcode(dns.rcode.from_text(text[1:]))
            elif text.startswith("NS "):
                put(reply.authority, text[3:])
            elif text.startswith("+"):
                put(reply.additional, text[1:])
            else:
                put(reply.answer, text)
        return reply


def put(section: list[dns.rrset.RRset], text: str) -> None:
    """Add a record in presentation form to a section."""
    owner, ttl, rclass, rrtype, data = text.split(None, 4)
    section.append(dns.rrset.from_text(owner, int(ttl), rclass, rrtype, data))
