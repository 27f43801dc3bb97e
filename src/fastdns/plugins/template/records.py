"""A template of a record as a plan: what is known before any query, and the program for the rest.

Most templates say owner, TTL, class and type as plain words, and the owner is ``{{ .Name }}`` or constant. Then a
query only has to fill in rdata; and where that is constant as well, nothing. What a template says otherwise is read
as a whole for each query.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.dns import mnemonics
from fastdns.plugins.template._records import has_layout, parse_head, parse_rdata, parse_record
from fastdns.plugins.template.compile import Compiled, Names, NotNativeError, compile_nodes, compile_tree
from fastdns.plugins.template.tree import Action, Field, Nodes, Text, Tree

# Rdata: what stands before a name that may be compressed, the name, and what stands behind it.
Parts = tuple[bytes, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a record. owner: in wire form; None: the question's."""

    owner: bytes | None
    ttl_s: int
    rrtype: int


@dataclass(frozen=True, slots=True)
class Plan:
    """head None: the program makes the whole record; else its rdata. program None: rdata is constant."""

    head: Head | None
    rdata: Parts | None
    program: Compiled | None


def plan(tree: Tree, names: Names) -> Plan:
    """Raises NotNativeError."""
    found = None if tree.defined else split(tree.nodes)
    if found is None:
        return Plan(None, None, compile_tree(tree, names))
    head, nodes = found
    if all(isinstance(node, Text) for node in nodes):
        rdata = constant(b"".join(node.value for node in nodes if isinstance(node, Text)), head.rrtype)
        if rdata is not None:
            return Plan(head, rdata, None)
    if not has_layout(head.rrtype):
        kind = mnemonics.TYPES.get(head.rrtype, f"TYPE{head.rrtype}")
        raise NotNativeError(f"a record of type {kind} that is not constant")
    return Plan(head, None, compile_nodes(nodes, names))


def split(nodes: Nodes) -> tuple[Head, Nodes] | None:
    """The head, and the nodes of the rdata; None: the head is not known before the query."""
    owner: bytes | None = None
    if nodes and is_name(nodes[0]):
        nodes = nodes[1:]
        if not nodes or not isinstance(nodes[0], Text) or nodes[0].value[:1] not in (b" ", b"\t"):
            return None
        text = nodes[0].value
    elif nodes and isinstance(nodes[0], Text):
        word, blank, text = nodes[0].value.partition(b" ")
        known = parse_record(word + b" 0 IN TXT x") if blank and plain(word) else None
        if known is None:
            return None
        owner = known[0]
    else:
        return None
    found = parse_head(text)
    if found is None:
        return None
    ttl_s, rrtype, at = found
    if not plain(text[:at]) or text[at : at + 1] not in (b" ", b"\t"):
        # The type may go on in what follows.
        return None
    return Head(owner, ttl_s, rrtype), (Text(text[at:]), *nodes[1:])


def is_name(node: object) -> bool:
    """Whether it is ``{{ .Name }}``."""
    if not isinstance(node, Action) or node.pipe.variables or len(node.pipe.commands) != 1:
        return False
    return node.pipe.commands[0].operands == (Field(("Name",)),)


def is_no_record(tree: Tree) -> bool:
    """Whether it is known before any query that the template makes no record."""
    known = [node.value if isinstance(node, Text) else b"name.example." for node in tree.nodes]
    return (
        not tree.defined
        and all(isinstance(node, Text) or is_name(node) for node in tree.nodes)
        and read(b"".join(known)) is None
    )


def plain(text: bytes) -> bool:
    """Whether it has nothing but words and blanks."""
    return bool(text) and not any(one in text for one in b'();"\n\r')


def constant(text: bytes, rrtype: int) -> Parts | None:
    """Rdata of any type that is known; None: it is none."""
    rdata = parse_rdata(text, rrtype)
    if rdata is None and not has_layout(rrtype):
        rare = rare_rdata(text, rrtype)
        rdata = None if rare is None else (rare, b"", b"")
    return rdata


def rare_rdata(text: bytes, rrtype: int) -> bytes | None:
    """Rdata of a type that only dnspython reads; None: it is none."""
    import dns.exception
    import dns.name
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

    try:
        made = dns.rdata.from_text(
            dns.rdataclass.IN,
            dns.rdatatype.RdataType.make(rrtype),
            text.decode("utf-8"),
            origin=dns.name.root,
            relativize=False,
        )
        return made.to_wire(origin=dns.name.root)
    except (dns.exception.DNSException, ValueError, NotImplementedError):
        return None


def read(text: bytes) -> tuple[bytes, int, int, bytes] | None:
    """(owner, TTL, type, rdata) of a record's text; None: it is none."""
    found = parse_record(text)
    if found is None:
        return None
    owner, ttl_s, rrtype, rdata = found
    whole = rare_rdata(rdata, rrtype) if isinstance(rdata, bytes) else b"".join(rdata)
    return None if whole is None else (owner, ttl_s, rrtype, whole)
