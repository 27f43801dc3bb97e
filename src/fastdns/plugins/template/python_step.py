"""The template step in Python: the same as _step.pyx, for blocks with a template that has no native program.

It is also what the native step is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any

from fastdns.dns import mnemonics
from fastdns.dns.names import is_in_zone, labels_of, text_name, wire_name
from fastdns.plugins.python import PythonStep, Request, Silence
from fastdns.plugins.template import counters as counting
from fastdns.plugins.template import records
from fastdns.plugins.template.compile import metas_of
from fastdns.plugins.template.config import CLASS_ANY, TYPE_ANY, Config, Record, Template
from fastdns.plugins.template.evaluate import FailureError, execute
from fastdns.plugins.template.expressions import Expressions
from fastdns.plugins.template.formats import NO_VALUE, Struct, Unsigned

if TYPE_CHECKING:
    from dnslib import DNSRecord

    from fastdns.metrics._labelled import LabelledCounters

HEADER_BYTES = 12
SERVFAIL = 2
OPTION_EDE = 15
MAX_HEADER_RCODE = 15
TYPE_A, TYPE_CNAME, TYPE_AAAA, TYPE_OPT = 1, 5, 28, 41
# CoreDNS makes the sections in this order: what fails first is what is counted.
ORDER = ("answer", "additional", "authority")


# The pattern that was found, its groups, and these by key.
Match = tuple[str, list[bytes], dict[bytes, bytes]]


class NotTrue:
    """A condition is not true."""


NOT_TRUE = NotTrue()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. name: in wire form, as the client has spelt it."""

    name: bytes
    qtype: int
    qclass: int

    def is_in(self, zone: bytes) -> bool:
        """Whether the name is in a zone (wire form, lower case)."""
        return is_in_zone(self.name.lower(), zone)


class TemplatesInPython(PythonStep):
    """The templates of one block."""

    cacheable = False

    def __init__(self, config: Config, counters: LabelledCounters | None) -> None:
        self.counters = counters
        self.templates = [
            (
                one,
                sorted(((wire_name(zone), zone) for zone in one.zones), key=lambda zone: -len(zone[0])),
                [wire_name(zone) for zone in one.fallthrough or ()],
                sorted(one.records, key=lambda record: ORDER.index(record.section)),
                Expressions(one.expressions),
            )
            for one in config.templates
        ]
        metas = (name for one in config.templates for record in one.records for name in metas_of(record.tree))
        read = (name for *_, one in self.templates for program in one.programs for name in program.values)
        self.values = tuple(dict.fromkeys(chain(metas, read)))

    async def serve(self, request: Request) -> DNSRecord | None:
        name_end = request.name_end
        qclass = int.from_bytes(request.message[name_end + 2 : name_end + 4], "big")
        question = Question(request.message[HEADER_BYTES:name_end], request.qtype, qclass)
        name = text_name(question.name.lower())
        for template, zones, falls, made, expressions in self.templates:
            zone = next((text for wire, text in zones if question.is_in(wire)), None)
            if zone is None or not is_asked(template, question):
                continue
            match = find(template, name)
            if match is not None:
                variables = evaluate(request, expressions, match) if template.expressions else {}
                if variables is None:
                    return failed(request)
                if not isinstance(variables, NotTrue):
                    data = data_of(request, question, template, zone, name, match, variables)
                    return await self.answer(request, question, template, made, zone, data)
            if not any(question.is_in(wire) for wire in falls):
                return failed(request)
        return None

    def count(self, request: Request, question: Question, template: Template, labels: Any, what: int) -> None:
        """Count a match or a failure."""
        if self.counters is not None:
            qclass = template.qclass if question.qclass == CLASS_ANY else question.qclass
            qtype = template.qtype if question.qtype == TYPE_ANY else question.qtype
            number = self.counters.number(labels)
            self.counters.count(request.zone_slot, number, counting.kind_of(what, qclass), qtype)

    async def answer(
        self, request: Request, question: Question, template: Template, made: list[Record], zone: str, data: Struct
    ) -> DNSRecord:
        """The reply of a template that matches."""
        self.count(request, question, template, counting.zone_labels(zone), counting.MATCH)
        has_opt = request.opt[1] > 0
        if template.rcode == SERVFAIL or (template.rcode > MAX_HEADER_RCODE and not has_opt):
            return failed(request)
        reply = request.record.reply(ra=0, aa=1)
        reply.header.rcode = template.rcode & 0xF
        for record in made:
            try:
                text = execute(record.tree, data)
            except FailureError:
                labels = counting.record_labels(zone, record)
                self.count(request, question, template, labels, counting.TEMPLATE_FAILURE)
                return failed(request)
            found = records.read(text)
            if found is None:
                labels = counting.record_labels(zone, record)
                self.count(request, question, template, labels, counting.RR_FAILURE)
                return failed(request)
            await add(request, question, reply, record.section, found)
        if has_opt:
            add_opt(reply, template)
        return reply


def failed(request: Request) -> DNSRecord:
    """SERVFAIL without records."""
    reply = request.record.reply(ra=0, aa=0)
    reply.header.rcode = SERVFAIL
    return reply


def is_asked(template: Template, question: Question) -> bool:
    """Whether class and type are those of a template."""
    return (template.qclass == CLASS_ANY or question.qclass in (CLASS_ANY, template.qclass)) and (
        template.qtype == TYPE_ANY or question.qtype in (TYPE_ANY, template.qtype)
    )


def find(template: Template, name: str) -> Match | None:
    """The first pattern that is found, its groups, and these by key; None: none is found."""
    text = name.encode()
    if not template.patterns:
        return ".*", [text], {b"0": text}
    for pattern in template.patterns:
        offsets = pattern.search(text)
        if offsets is not None:
            pairs = zip(offsets[::2], offsets[1::2], strict=True)
            groups = [text[begin:end] if begin >= 0 else b"" for begin, end in pairs]
            by_key = {str(number).encode(): group for number, group in enumerate(groups)}
            for key, group in zip(pattern.names, groups, strict=True):
                if key:
                    by_key[key.encode("utf-8", "surrogateescape")] = group
            return pattern.text, groups, by_key
    return None


def evaluate(request: Request, expressions: Expressions, match: Match) -> dict[bytes, Any] | NotTrue | None:
    """The variables, where all conditions are true. None: an expression fails."""
    from fastdns.expr._message import MessageRun

    run = MessageRun(
        request.message, client=request.client, client_port=request.client_port, stream=request.stream,
        server=request.local, server_port=int(request.server.rpartition(":")[2]), values=request.values,
    )  # fmt: skip
    run.give({key.decode("utf-8", "surrogateescape"): group.decode() for key, group in match[2].items()})
    variables: dict[bytes, Any] = {}
    for name, program in expressions.variables:
        found = run.evaluate(program, keep=True)
        if found is None:
            return None
        variables[name.encode()] = seen_by_templates(found[0])
    for condition in expressions.conditions:
        found = run.evaluate(condition)
        if found is None:
            return None
        if found[0] is not True:
            return NOT_TRUE
    return variables


def seen_by_templates(value: Any) -> Any:
    """What an expression has come to, as templates have it: texts are bytes, and nil is no value."""
    if value is None:
        return NO_VALUE
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, list):
        return [seen_by_templates(one) for one in value]
    if isinstance(value, dict):
        return {seen_by_templates(key): seen_by_templates(one) for key, one in value.items()}
    return value


def data_of(
    request: Request, question: Question, template: Template, zone: str, name: str,
    match: Match, variables: dict[bytes, Any],
) -> Struct:  # fmt: skip
    """What a template sees."""
    pattern, groups, by_key = match
    qclass = template.qclass if question.qclass == CLASS_ANY else question.qclass
    qtype = template.qtype if question.qtype == TYPE_ANY else question.qtype
    asked = asked_of(question)
    fields = {
        "Zone": zone.encode(),
        "Name": name.encode(),
        "Regex": pattern.encode("utf-8", "surrogateescape"),
        "Match": groups,
        "Group": by_key,
        "Class": b"ANY" if qclass == CLASS_ANY else mnemonics.CLASSES.get(qclass, "").encode(),
        "Type": mnemonics.TYPES.get(qtype, "").encode(),
        "Question": asked,
        "Message": message_of(request, asked),
        "Remote": request.client_address.encode(),
        "Var": variables,
    }
    return Struct("*template.templateData", fields, {"Meta": (1, lambda name: meta(request.values, name))})


def meta(values: Mapping[str, str], name: Any) -> bytes:
    """``.Meta``"""
    if not isinstance(name, bytes):
        raise FailureError("wrong type for value; expected string")
    return values.get(name.decode("utf-8", "replace"), "").encode("utf-8", "surrogateescape")


def asked_of(question: Question) -> Struct:
    """``.Question``"""
    name = text_name(question.name).encode()
    qclass = mnemonics.CLASSES.get(question.qclass, f"CLASS{question.qclass}").encode()
    qtype = mnemonics.TYPES.get(question.qtype, f"TYPE{question.qtype}").encode()
    fields = {"Name": name, "Qtype": Unsigned(question.qtype), "Qclass": Unsigned(question.qclass)}
    return Struct("*dns.Question", fields, text=b";" + name + b"\t" + qclass + b"\t " + qtype)


def message_of(request: Request, asked: Struct) -> Struct:
    """``.Message``: the header, the question, and the OPT record by IsEdns0."""
    flags = int.from_bytes(request.message[2:4], "big")
    at, size = request.opt
    opt: Any = NO_VALUE
    if size:
        # Behind owner and type: the client's size, an extended code, the version, the flags.
        opt = Struct("*dns.OPT", {}, {
            "UDPSize": (0, lambda: Unsigned(int.from_bytes(request.message[at + 3 : at + 5], "big"))),
            "Version": (0, lambda: Unsigned(request.message[at + 6])),
            "Do": (0, lambda: bool(request.message[at + 7] & 0x80)),
        })  # fmt: skip
    bits = {
        "Response": 0x8000, "Authoritative": 0x0400, "Truncated": 0x0200, "RecursionDesired": 0x0100,
        "RecursionAvailable": 0x0080, "Zero": 0x0040, "AuthenticatedData": 0x0020, "CheckingDisabled": 0x0010,
    }  # fmt: skip
    header: dict[str, Any] = {name: bool(flags & bit) for name, bit in bits.items()}
    header |= {
        "Id": Unsigned(int.from_bytes(request.message[:2], "big")), "Opcode": flags >> 11 & 0xF,
        "Rcode": flags & 0xF,
    }  # fmt: skip
    fields = {**header, "MsgHdr": Struct("dns.MsgHdr", header), "Question": [asked], "Answer": []}
    return Struct("*dns.Msg", fields, {"IsEdns0": (0, lambda: opt)})


async def add(
    request: Request, question: Question, reply: DNSRecord, section: str, found: tuple[bytes, int, int, bytes]
) -> None:
    """Add a record to a section, and to an answer what its CNAME record leads to."""
    from dnslib import RD, RR, DNSLabel

    owner, ttl_s, rrtype, rdata = found
    rrclass = 1 if question.qclass == CLASS_ANY else question.qclass
    rr = RR(DNSLabel(labels_of(owner)), rrtype, rrclass, ttl_s, RD(rdata))
    {"answer": reply.add_answer, "authority": reply.add_auth, "additional": reply.add_ar}[section](rr)
    leads = section == "answer" and rrtype == TYPE_CNAME and question.qtype in (TYPE_A, TYPE_AAAA)
    if not leads or rdata.lower() == question.name.lower():
        return
    try:
        there = await request.ask(DNSLabel(labels_of(rdata)), question.qtype)
    except Silence:
        return
    # Up to the first alias that the answer has already: it closes a loop.
    known = {rr.rname for rr in reply.rr if rr.rtype == TYPE_CNAME}
    reply.add_answer(*takewhile(lambda rr: rr.rtype != TYPE_CNAME or rr.rname not in known, there.rr))
    reply.header.tc = there.header.tc


def add_opt(reply: DNSRecord, template: Template) -> None:
    """What is said to a client that knows EDNS: an extended error, and the rest of a long code."""
    from dnslib import EDNS0, EDNSOption

    options = []
    if template.ede is not None:
        code, reason = template.ede
        options.append(EDNSOption(OPTION_EDE, code.to_bytes(2, "big") + reason.encode("utf-8", "surrogateescape")))
    if options or template.rcode > MAX_HEADER_RCODE:
        reply.add_ar(EDNS0(ext_rcode=template.rcode >> 4, opts=options))
