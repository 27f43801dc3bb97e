"""An upstream behind the cache: what it says is what clients get."""

from __future__ import annotations

from tests.plugins.alike.questions import Table, asked

COREFILE = """
up.test:DNS_PORT {
    cache
    forward . 127.0.0.1:UPSTREAM
}
plain.test:DNS_PORT {
    forward . 127.0.0.1:UPSTREAM {
        except no.plain.test
    }
}
"""
RECORDS: dict[str, list[str] | str] = {}
for zone in ("up.test.", "plain.test."):
    RECORDS |= {
        f"www.{zone} A": [f"www.{zone} 300 IN A 198.51.100.1", f"www.{zone} 300 IN A 198.51.100.2"],
        f"www.{zone} AAAA": [f"www.{zone} 300 IN AAAA 2001:db8::1"],
        f"www.{zone} TXT": [f'www.{zone} 300 IN TXT "a" "b"'],
        f"alias.{zone} A": [f"alias.{zone} 60 IN CNAME www.{zone}", f"www.{zone} 60 IN A 198.51.100.1"],
        f"alias.{zone} CNAME": [f"alias.{zone} 60 IN CNAME www.{zone}"],
        f"{zone} MX": [f"{zone} 300 IN MX 10 www.{zone}"],
        f"{zone} NS": [f"{zone} 300 IN NS ns.{zone}"],
        f"_s._tcp.{zone} SRV": [f"_s._tcp.{zone} 300 IN SRV 1 2 80 www.{zone}"],
        f"low.{zone} A": [f"low.{zone} 7 IN A 198.51.100.3"],
        f"long.{zone} A": [f"long.{zone} 86400 IN A 198.51.100.4"],
        f"refused.{zone} A": "REFUSED",
        f"many.{zone} A": [f"many.{zone} 300 IN A 198.51.101.{number}" for number in range(1, 60)],
    }
TYPES = "A AAAA TXT MX NS SOA CNAME SRV HTTPS"

TABLE = Table(
    corefile=COREFILE,
    files={},
    cases=[
        *asked(["www", "alias", "@", "_s._tcp", "nope", "low", "long"], TYPES, "", "up.test."),
        *asked(["www", "alias", "nope", "low", "many"], "A AAAA", "edns, do, tcp, tcp do, no rd", "up.test."),
        *asked(["www", "alias", "@", "nope", "refused", "many", "x.no"], "A AAAA TXT MX", ", edns, tcp",
               "plain.test."),
        *asked(["WWW", "Alias", "NOPE"], "A TXT AAAA", "", "Plain.TEST."),
    ],
    unlike={
        r"\.up\.test\. \w+ no rd": "RD is no part of its key: this has been asked before",
        r"^many\.plain\.test\. A $": "it asks no upstream again over TCP, and gives no record",
        r"^x\.no\.plain\.test\. \S+ edns$": "no extended error says that no plugin had an answer",
    },
)  # fmt: skip
