"""How the tables of questions are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.plugins.beside import Case

# Ways in which a question is asked. A question of the tables is asked in one of them where nothing else is said.
WAYS: dict[str, dict[str, Any]] = {
    "": {}, "edns": {"edns": ()}, "do": {"dnssec": True}, "tcp": {"tcp": True}, "no rd": {"recursion": False},
    "tcp do": {"tcp": True, "dnssec": True}, "CH": {"qclass": "CH"}, "class ANY": {"qclass": "ANY"},
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """The questions about one plugin.

    corefile: its server blocks, with DNS_PORT for the port. files: by name, what is in them. cases: the questions.
    unlike: patterns of ``NAME TYPE WAY``, and why CoreDNS answers these otherwise.
    """

    corefile: str
    cases: Sequence[Case]
    files: Mapping[str, str]
    unlike: Mapping[str, str]

    def with_reasons(self) -> list[Case]:
        """The questions, each with why CoreDNS answers otherwise, if it does."""
        return [replace(case, coredns=self.reason(case)) for case in self.cases]

    def reason(self, case: Case) -> str:
        """Why CoreDNS answers this otherwise; "" if it does not."""
        said = f"{case.qname} {case.qtype} {case.why}"
        return next((why for pattern, why in self.unlike.items() if re.search(pattern, said)), "")


def asked(names: Iterable[str], types: str, ways: str = "", zone: str = "") -> list[Case]:
    """Each name with each type, in each way.

    types: between blanks. ways: of WAYS, between commas. zone: behind each name; "@" is the zone itself.
    """
    return [
        Case(zone if name == "@" else f"{name}.{zone}" if zone else name, qtype, why=way, **WAYS[way])
        for name in names
        for qtype in types.split()
        for way in map(str.strip, ways.split(","))
    ]
