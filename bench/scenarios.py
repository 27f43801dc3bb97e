"""The scenarios: queries, load, and the servers that are compared, in one table."""

from __future__ import annotations

from dataclasses import dataclass

from bench.configs import AUTHORITY, CACHED, MISS

# Outstanding queries; with TCP, four on each of a hundred connections.
HITS, WAITS, CONNECTIONS, PIPELINED = 256, 128, 100, 400
SOCKETS = 16


@dataclass(frozen=True, slots=True)
class Scenario:
    """role: of the servers. mix: of population, or "" for names of the upstream. references: whom others are
    compared with. half_rate: open loop, at half of what the echo answers in the closed one."""

    name: str
    says: str
    role: str
    mix: str
    references: tuple[str, ...]
    outstanding: int = HITS
    sockets: int = SOCKETS
    tcp: bool = False
    half_rate: bool = False
    echo: bool = True
    lost_s: float = 0.25


LIMITS = ("echo", "knot")
MIX = "40% A, 30% AAAA without data, 20% search-path NXDOMAIN, 10% SRV"
SCENARIOS = {
    scenario.name: scenario
    for scenario in [
        Scenario("hit", "A of services with an address", AUTHORITY, "hit", LIMITS),
        Scenario("mix", MIX, AUTHORITY, "mix", LIMITS),
        Scenario("nxdomain", "A of what a search list makes of a name", AUTHORITY, "nxdomain", LIMITS),
        Scenario("headless", "A of headless services, all endpoints", AUTHORITY, "headless", LIMITS),
        Scenario("srv", "SRV of a named port", AUTHORITY, "srv", LIMITS),
        Scenario(
            "miss", "A of an upstream's names, each forwarded over UDP", MISS, "", ("dnsdist",),
            outstanding=WAITS, echo=False, lost_s=0.5,
        ),
        Scenario(
            "cached", "A of an upstream's names, from the cache", CACHED, "", ("echo", "dnsdist"),
            outstanding=WAITS,
        ),
        Scenario(
            "tcp", "A of services over 100 connections, four queries under way on each", AUTHORITY, "hit",
            ("knot",), outstanding=PIPELINED, sockets=CONNECTIONS, tcp=True, echo=False, lost_s=1.0,
        ),
        Scenario(
            "rate", "A of services at half of the rate that the echo answers, open loop", AUTHORITY, "hit", LIMITS,
            outstanding=4096, half_rate=True,
        ),
    ]
}  # fmt: skip
