"""Questions for transfers."""

from __future__ import annotations

import dns.message


def axfr(origin: str) -> dns.message.Message:
    return dns.message.make_query(origin, "AXFR")


def ixfr(origin: str, serial: int) -> dns.message.Message:
    query = dns.message.make_query(origin, "IXFR")
    soa = f"{origin} 0 IN SOA ns.{origin} host.{origin} {serial} 0 0 0 0"
    query.authority = list(dns.message.from_text(f";AUTHORITY\n{soa}\n").authority)
    return query
