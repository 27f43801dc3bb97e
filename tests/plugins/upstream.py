"""An upstream that answers from a table, for tests of plugins in front of forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.plugins.forward.engine.support import Asked, Script, Upstream, response

SOA = "test. 300 IN SOA ns.test. root.test. 1 2 3 4 77"


def key_of(asked: Asked) -> str:
    """What is asked: "NAME TYPE", the name in lower case."""
    question = asked.message.question[0]
    return f"{question.name.to_text().lower()} {dns.rdatatype.to_text(question.rdtype)}"


def from_table(records: Mapping[str, Sequence[str] | str]) -> Script:
    """The script of an upstream that has these records.

    By "NAME TYPE": the answer section; none: there is no such data. A text is the code of the reply. A name without
    any entry gets NXDOMAIN. Negative answers have the SOA record of ``test.``
    """
    names = {key.split()[0] for key in records}

    def reply(asked: Asked) -> dns.message.Message:
        key = key_of(asked)
        found = records.get(key, ())
        if isinstance(found, str):
            return response(asked.message, dns.rcode.from_text(found))
        message = response(asked.message, dns.rcode.NOERROR if key.split()[0] in names else dns.rcode.NXDOMAIN)
        section = message.answer if found else message.authority
        for text in found or [SOA]:
            section.append(dns.rrset.from_text(*text.split(maxsplit=4)))
        return message

    return reply


def asked_of(upstream: Upstream) -> list[str]:
    """What it was asked, in order."""
    return [key_of(one) for one in upstream.asked]
