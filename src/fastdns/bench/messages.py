"""Queries as bytes: what the load generator sends, except the ID."""

from __future__ import annotations

from typing import NamedTuple

from fastdns.dns.names import text_name, wire_name_as_written

# IANA, "Resource Record (RR) TYPEs". Others are written TYPEnnn (RFC 3597 section 5).
TYPES = {
    "A": 1, "NS": 2, "MD": 3, "MF": 4, "CNAME": 5, "SOA": 6, "MB": 7, "MG": 8, "MR": 9, "NULL": 10, "WKS": 11,
    "PTR": 12, "HINFO": 13, "MINFO": 14, "MX": 15, "TXT": 16, "RP": 17, "AFSDB": 18, "X25": 19, "ISDN": 20,
    "RT": 21, "NSAP": 22, "NSAP-PTR": 23, "SIG": 24, "KEY": 25, "PX": 26, "GPOS": 27, "AAAA": 28, "LOC": 29,
    "NXT": 30, "EID": 31, "NIMLOC": 32, "SRV": 33, "ATMA": 34, "NAPTR": 35, "KX": 36, "CERT": 37, "A6": 38,
    "DNAME": 39, "SINK": 40, "APL": 42, "DS": 43, "SSHFP": 44, "IPSECKEY": 45, "RRSIG": 46, "NSEC": 47,
    "DNSKEY": 48, "DHCID": 49, "NSEC3": 50, "NSEC3PARAM": 51, "TLSA": 52, "SMIMEA": 53, "HIP": 55, "NINFO": 56,
    "RKEY": 57, "TALINK": 58, "CDS": 59, "CDNSKEY": 60, "OPENPGPKEY": 61, "CSYNC": 62, "ZONEMD": 63, "SVCB": 64,
    "HTTPS": 65, "SPF": 99, "NID": 104, "L32": 105, "L64": 106, "LP": 107, "EUI48": 108, "EUI64": 109,
    "TKEY": 249, "TSIG": 250, "IXFR": 251, "AXFR": 252, "MAILB": 253, "MAILA": 254, "ANY": 255, "URI": 256,
    "CAA": 257,
}  # fmt: skip
TYPE_NAMES = {number: name for name, number in TYPES.items()}
RCODES = (
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
    "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI", "RCODE12", "RCODE13", "RCODE14", "RCODE15",
)  # fmt: skip
# Transfers are answers of many messages.
NO_QUERIES = {"AXFR", "IXFR", "TKEY", "TSIG"}
OPT = 41
HEADER = b"\0\0\1\0\0\1\0\0\0\0\0\0"  # RD set, one question; as dnsperf and stub resolvers send it
# The EDNS size that dnsperf sends; the generator reads as much.
UDP_BYTES = 4096
DO = 0x8000


class Query(NamedTuple):
    """A name in presentation form, and a type by its mnemonic."""

    name: str
    type: str


def type_number(text: str) -> int:
    """A type by its mnemonic or as TYPEnnn. Raises ValueError."""
    name = text.upper()
    number = TYPES.get(name)
    if number is None and name.startswith("TYPE") and name[4:].isdecimal() and int(name[4:]) < 65536:
        number = int(name[4:])
    if number is None:
        raise ValueError(f"{text!r} is not a record type: a mnemonic or TYPEnnn expected")
    if TYPE_NAMES.get(number) in NO_QUERIES or number == OPT:
        raise ValueError(f"{text} cannot be asked for here")
    return number


def edns(dnssec_ok: bool = False, options: tuple[tuple[int, bytes], ...] = ()) -> bytes:
    """An OPT record (RFC 6891 section 6.1.2)."""
    data = b"".join(code.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value for code, value in options)
    flags = DO if dnssec_ok else 0
    fixed = OPT.to_bytes(2, "big") + UDP_BYTES.to_bytes(2, "big") + b"\0\0" + flags.to_bytes(2, "big")
    return b"\0" + fixed + len(data).to_bytes(2, "big") + data


def message(query: Query, opt: bytes = b"") -> bytes:
    """The query with an ID of 0, class IN. opt: an OPT record, or nothing. Raises ValueError."""
    try:
        name = wire_name_as_written(query.name)
    except UnicodeError:
        raise ValueError(f"{query.name!r} is not a domain name") from None
    header = HEADER[:11] + b"\1" if opt else HEADER
    return header + name + type_number(query.type).to_bytes(2, "big") + b"\0\1" + opt


def query_of(asked: bytes) -> Query:
    """The question of a message, to be shown and compared; an empty name if there is none to be read."""
    at = len(HEADER)
    try:
        while asked[at]:
            at += 1 + asked[at]
        qtype = int.from_bytes(asked[at + 1 : at + 3], "big")
        return Query(text_name(asked[len(HEADER) : at + 1]), TYPE_NAMES.get(qtype, f"TYPE{qtype}"))
    except IndexError:
        return Query("", "")


def said_by(answer: bytes) -> str:
    """An answer in the form of ``--check``: its rcode, and the records of its answer section."""
    from dnslib import DNSRecord

    text = RCODES[answer[3] & 0xF]
    try:
        records = [f"{TYPE_NAMES.get(one.rtype, one.rtype)} {one.rdata}" for one in DNSRecord.parse(answer).rr]
    except Exception:  # dnslib raises any exception for bytes that are not a message
        return f"{text}, with a part that cannot be read or was cut off: {answer.hex()}"
    return "; ".join([text, *records])
