"""Gives what a hostile peer or file may hold to the code that reads it, and checks what comes out.

    python -m tests.fuzz.run [--packets 1000000] [--seed N] [--only TARGET...]

``make fuzz`` runs it on a build with address and undefined-behaviour sanitizers. The seed is printed; a finding
prints the input. Each target takes about as long as the others that go through messages: TARGETS says how many
rounds it has for each message.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from tests.fuzz.chains import fuzz_chains
from tests.fuzz.copies import fuzz_replies
from tests.fuzz.databases import fuzz_databases
from tests.fuzz.expressions import fuzz_expressions
from tests.fuzz.findings import Finding
from tests.fuzz.grpc import fuzz_grpc
from tests.fuzz.headers import fuzz_headers
from tests.fuzz.hosts import fuzz_hosts_files
from tests.fuzz.networks import fuzz_networks
from tests.fuzz.outstanding import fuzz_table
from tests.fuzz.patterns import fuzz_patterns
from tests.fuzz.queries import fuzz_queries
from tests.fuzz.quic import fuzz_quic
from tests.fuzz.requests import fuzz_requests
from tests.fuzz.services import fuzz_services
from tests.fuzz.signatures import fuzz_signatures
from tests.fuzz.streams import fuzz_streams
from tests.fuzz.templates import fuzz_records, fuzz_template_steps, fuzz_templates
from tests.fuzz.transfers import fuzz_transfers_in, fuzz_transfers_out
from tests.fuzz.zonefiles import fuzz_zone_files
from tests.fuzz.zones import fuzz_zones


@dataclass(frozen=True, slots=True)
class Target:
    """run: takes a number of rounds and a seed, raises Finding, and returns how many rounds, or questions in them,
    came through. messages: of --packets, for one round. needs: a package that is not everywhere."""

    run: Callable[[int, int], int]
    messages: int
    rounds: str
    through: str
    needs: str = ""

    @property
    def can_run(self) -> bool:
        """Whether its package is here."""
        return not self.needs or find_spec(self.needs) is not None


TARGETS = {
    "queries": Target(fuzz_queries, 1, "mangled queries", "answered"),
    "replies": Target(fuzz_replies, 1, "damaged replies of upstreams", "accepted"),
    "outstanding": Target(fuzz_table, 50, "questions to an upstream that damages its replies", "answered"),
    "chains": Target(fuzz_chains, 1000, "blocks of plugins before such an upstream", "questions answered"),
    "patterns": Target(fuzz_patterns, 20, "regular expressions", "taken"),
    "expressions": Target(fuzz_expressions, 50, "expressions", "evaluated"),
    "templates": Target(fuzz_templates, 50, "templates", "run natively"),
    "template-steps": Target(fuzz_template_steps, 1000, "blocks of templates", "questions answered"),
    "records": Target(fuzz_records, 50, "records in presentation form", "taken"),
    "zones": Target(fuzz_zones, 200, "zones of any records", "questions answered"),
    "zone-files": Target(fuzz_zone_files, 250, "zone files", "served"),
    "transfers-in": Target(fuzz_transfers_in, 250, "zones of a primary", "served"),
    "transfers-out": Target(fuzz_transfers_out, 200, "zones of any records", "transferred"),
    "hosts": Target(fuzz_hosts_files, 200, "hosts files", "questions answered"),
    "services": Target(fuzz_services, 500, "sets of keys of etcd", "questions answered"),
    "signatures": Target(fuzz_signatures, 20, "signed requests", "signed rightly"),
    "databases": Target(fuzz_databases, 50, "databases of places", "opened"),
    "headers": Target(fuzz_headers, 2, "headers of proxies", "naming a client"),
    "requests": Target(fuzz_requests, 100, "connections of HTTP", "requests answered"),
    "grpc": Target(fuzz_grpc, 200, "connections of gRPC to a server and of a client", "calls answered"),
    "streams": Target(fuzz_streams, 100, "connections over TCP and TLS", "questions beside them answered"),
    "quic": Target(fuzz_quic, 200, "clients of QUIC", "questions beside them answered", needs="qh3"),
    "networks": Target(fuzz_networks, 250, "blocks of acl", "taken"),
}


def main() -> int:
    """The command; exit code 1 for a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=1_000_000, help="messages to send (default 1000000)")
    parser.add_argument("--seed", type=int, default=None, help="default: from the clock")
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=list(TARGETS), metavar="TARGET",
                        help=f"of {', '.join(TARGETS)}")  # fmt: skip
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    # What is damaged is said, and nobody wants to read it.
    logging.disable()
    for name in options.only:
        target = TARGETS[name]
        if not target.can_run:
            print(f"{name}: left out, as there is no {target.needs}", flush=True)
            continue
        rounds = max(1, options.packets // target.messages)
        begun = time.monotonic()
        try:
            through = target.run(rounds, seed)
        except Finding as finding:
            print(f"FINDING: {name}: {finding}", file=sys.stderr)
            return 1
        took_s = time.monotonic() - begun
        print(f"{name}: {rounds} {target.rounds}, {through} {target.through}; {took_s:.0f} s", flush=True)
    print("no finding")
    return 0


if __name__ == "__main__":
    sys.exit(main())
