"""Random blocks of plugins that change questions and replies, before an upstream that answers with damaged replies.

Each message has a reply that is a message and fits, or is dropped by a rule; nothing waits or is kept behind it.
"""

from __future__ import annotations

import random
import struct
from typing import Any

import dns.exception

from fastdns.corefile import load
from fastdns.dns.names import wire_name
from fastdns.errors import CorefileError
from fastdns.metrics._stats import Stats
from fastdns.plugins.acl.places import Places
from fastdns.plugins.api import Runtime
from fastdns.plugins.cache.shared import share_caches
from fastdns.plugins.geoip._database import Database
from fastdns.plugins.geoip.databases import ASN, CITY, Opened
from fastdns.plugins.log._lines import LineReader
from fastdns.plugins.log._ring import LogRing
from fastdns.plugins.steps import build_filters, build_steps
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from tests.expr.generated import expression
from tests.fuzz.findings import Finding, Memory
from tests.fuzz.packets import mangled
from tests.fuzz.patterns import PIECES as PATTERN_PIECES
from tests.fuzz.queries import check
from tests.fuzz.questions import question
from tests.fuzz.replies import Broken, Exchange, damaged, walk
from tests.fuzz.templates import quoted
from tests.fuzz.zones import corpus
from tests.plugins.geoip.writer import CITIES, database
from tests.serve._service import WAITS, PlayedService, Trial, Wait

QUESTIONS = 60
MAX_WAITS = 40
NAMES = ("www.example.org.", "example.org.", "a.b.org.", ".", "org.", "localhost.", "x.localhost.test.", "*.org.")
REVERSE = ("4.3.2.1.in-addr.arpa.", "1.0.0.0.0.0.0.a." + "0." * 16 + "b.9.f.f.4.6.0.0.ip6.arpa.")
WIRES = [wire_name(name) for name in (*NAMES, *REVERSE, "a.search.test.", "x" * 63 + ".org.")]
TEXTS = (
    "www",
    ".org",
    "example.org",
    "a.b",
    ".",
    "org.",
    "x" * 63,
    "*",
    "b.a.",
    "w",
    "c..d",
    "a\\.b",
    "{1}.org",
    "{0}.{2}",
)
PATTERNS = (r"(.*)\.org\.", r"^(w+)\.(.*)", "(.)", ".*", "(a)|(b)", r"^[^.]*\.?", "x{60}", r"(?P<n>.*)\.")
MATCHES = ("exact", "prefix", "suffix", "substring", "regex")
TYPES = ("A", "AAAA", "ANY", "TXT", "HTTPS", "CNAME", "MX", "SRV", "PTR")
VARIABLES = (
    "{qname}", "{qtype}", "{client_ip}", "{server_ip}", "{client_port}", "{server_port}", "{protocol}",
    "{geoip/city/name}", "{geoip/subdivisions/code}", "{log/type}",
)  # fmt: skip
FORMATS = ("{common}", "{name} {>id} {rcode} {>rflags} {rsize}", "{/geoip/city/name} {/log/class} {remote} {proto}")
GEOIP = Opened("city.mmdb", 0, 0, Database(database(CITIES)), (CITY, ASN))


def texts(rng: random.Random) -> tuple[str, str]:
    """How a name is matched, and by what."""
    match = rng.choice(MATCHES)
    if match != "regex":
        return match, rng.choice(TEXTS[:-2])
    pattern = rng.choice(PATTERNS) if rng.random() < 0.6 else "".join(rng.choices(PATTERN_PIECES, k=5))
    return match, quoted("".join(pattern.split()).replace('"', "") or ".")


def rewrite(rng: random.Random) -> str:
    """A rule."""
    match, text = texts(rng)
    kind = rng.randrange(8)
    to = rng.choice(TEXTS)
    if kind < 3:
        rule = f"name {match} {text} {to}"
        for _ in range(rng.choice((0, 0, 1, 3))):
            option = rng.choice(("auto", "name", "value"))
            rule += f" answer {option}" + (
                f" {quoted(rng.choice(PATTERNS))} {rng.choice(TEXTS)}" if option != "auto" else ""
            )
    elif kind == 3:
        rule = f"ttl {match} {text} {rng.choice(('0', '30', '5-10', '-60', '100-'))}"
    elif kind == 4:
        rule = f"rcode {match} {text} {rng.choice(('NXDOMAIN', '0', 'SERVFAIL'))} {rng.choice(('NOERROR', '23'))}"
    elif kind == 5:
        rule = f"cname {match} {text} {to}"
    elif kind == 6:
        rule = f"type {rng.choice(TYPES)} {rng.choice(TYPES)}" if rng.random() < 0.8 else "class IN CH"
    else:
        data = rng.choice((*VARIABLES, "text", "0xabcdef", "x" * 508))
        action = rng.choice(("set", "append", "replace"))
        rule = rng.choice((
            f"edns0 local {action} {rng.choice(('0xffee', '3', '10', '12', '65535'))} {data}",
            "edns0 local unset 0xffee", f"edns0 nsid {action}",
            f"edns0 subnet {action} {rng.randrange(33)} {rng.randrange(129)}",
            "edns0 subnet unset",
        ))  # fmt: skip
        if "unset" not in rule and rng.random() < 0.3:
            rule += " revert"
    return f"rewrite {rng.choice(('continue', 'stop', 'continue'))} {rule}"


def block(rng: random.Random) -> str:
    """A server block."""
    lines = [
        "metadata",
        "geoip city.mmdb {\nedns-subnet\n}",
        *(rewrite(rng) for _ in range(rng.choice((0, 1, 2, 5)))),
    ]
    lines += rng.sample((
        "prometheus", "errors", "any", "minimal", f"bufsize {rng.choice((512, 1232, 4096))}", "nsid some text",
        "local", "header {\nresponse set aa ra\nquery clear rd\nresponse clear rd\n}", "autopath resolv.conf",
        "loadbalance round_robin {\nprefer 192.0.2.0/24 2001:db8::/32 0.0.0.0/1\n}", "loadbalance",
        f"dns64 {rng.choice(('2001:db8::/32', '2001:db8:1:2::/64'))} {{\nallow_ipv4\ntranslate_all\n}}",
        "dns64 {\nallow_ipv4\n}", f"cache {rng.choice((1, 30))}", "cache {\nserve_stale 1h\nprefetch 1\nkeepttl\n}",
        "cache {\nserve_stale 1h immediate\nservfail 1s\n}", f"log . {quoted(rng.choice(FORMATS))}",
        "log org {\nclass denial error\n}",
        "acl {\nfilter type ANY\nblock net 10.0.0.0/8 2001::/16\ndrop type TXT\n}",
        "acl org {\nallow net 127.0.0.0/8\n}", "cancel 1s",
        f"view v {{\nexpr {expression('b', rng)}\n}}",
    ), rng.randrange(1, 8))  # fmt: skip
    return "\n".join(lines)


class Chain:
    """A block, and the upstream behind it."""

    def __init__(self, text: str) -> None:
        """Raises CorefileError."""
        config = load(f". {{\n{text}\n}}", environ={})
        places = Places()
        prepared: dict[str, Any] = {
            "acl": (places.counters, places.listening(config)),
            "cache": share_caches(config),
            "geoip": dict.fromkeys([one.file for _, one in config.with_plugin("geoip")], GEOIP),
            "autopath": {
                one.file: tuple(map(wire_name, ("search.test.", "org.", ".")))
                for _, one in config.with_plugin("autopath")
            },
        }
        runtime = Runtime(prepared=prepared, first_counters={"autopath": 0})
        self.service = PlayedService("played")
        steps = [*build_steps(config.blocks[0], runtime).values(), Wait("played")]
        table = ServerTable([(".", 0, 0)], [steps], 1, False, build_filters(config, runtime))
        stats = Stats(1)
        stats.reserve_zones(2)
        self.worker = Worker(table, None, 0, stats, 0)
        self.trial = Trial(self.worker, [self.service])
        self.ring = LogRing(1 << 16, 10**9)
        self.ring.attach(self.worker)
        self.reader = LineReader({0: [rule.parts for _, one in config.with_plugin("log") for rule in one.rules]})
        self.reader.add_listener(table, "127.0.0.1")


class Upstream:
    """Replies to any question, well-formed and damaged."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.rrs = [one for one in corpus(rng, 400) if len(one[1]) < 300]

    def record(self) -> bytes:
        """Of the question's name, mostly, or of the target of an alias; names are compressed, as a server does."""
        rng = self.rng
        label = rng.choice((b"\1a", b"\1*", b"\1A"))
        owner = rng.choice((b"\xc0\x0c", b"\xc0\x0c", label + b"\xc0\x0c", b"\3WWW\7example\3org\0", b"\0"))
        rrtype, rdata = rng.choice((
            (1, rng.randbytes(4)), (1, b"\x0a\0\0\1"), (28, rng.randbytes(16)), (5, label + b"\xc0\x0c"),
            (5, b"\xc0\x0c"), (5, b"\3www\7example\3org\0"), (6, b"\xc0\x0c\0" + rng.randbytes(20)),
            (12, label + b"\xc0\x0c"), (15, b"\0\1" + label + b"\xc0\x0c"), rng.choice(self.rrs),
            rng.choice(self.rrs),
        ))  # fmt: skip
        ttl_s = rng.choice((0, 1, 300, 2**31 - 1))
        return owner + struct.pack(">HHIH", rrtype, rng.choice((1,) * 30 + (3,)), ttl_s, len(rdata)) + rdata

    def reply(self, asked: tuple[bytes, int]) -> bytes | None:
        """To a question: lowered wire name, type."""
        rng = self.rng
        if rng.random() < 0.05:
            return None
        question = asked[0] + struct.pack(">HH", asked[1], 1)
        counts = [rng.choice((0, 1, 2, 5, 40)), rng.choice((0, 0, 1, 3)), rng.choice((0, 0, 1, 3))]
        body = b"".join(self.record() for _ in range(sum(counts)))
        flags = 0x8180 | rng.choice((0, 0, 0, 3, 2, 5)) | rng.choice((0, 0x400, 0x220))
        if rng.random() < 0.3:
            options = rng.choice((b"", b"\0\3\0\2ab", b"\0\x0f\0\3\0\4x", b"\0\x08\0\7\0\1\x18\0\x7f\0\0"))
            body += b"\0" + struct.pack(">HHIH", 41, 1232, rng.choice((0, 0x8000)), len(options)) + options
            counts[2] += 1
        wire = struct.pack(">HHHHHH", 4711, flags, 1, *counts) + question + body
        return damaged(rng, Exchange(b"", wire, 12 + len(question))) if rng.random() < 0.5 else wire[:65535]


def fuzz_chains(count: int, seed: int) -> int:
    """Ask count blocks; returns how many questions have an answer. Raises Finding."""
    rng = random.Random(seed)
    upstream = Upstream(rng)
    memory = Memory(200)
    answered = 0
    for number in range(count):
        text = block(rng)
        try:
            chain = Chain(text)
        except CorefileError:
            continue
        try:
            for _ in range(QUESTIONS):
                answered += one_question(rng, chain, upstream, "drop" in text)
        except (Finding, Broken, dns.exception.DNSException) as what:
            raise Finding(f"{what!r}: block {number} of seed {seed}:\n{text}") from None
        for line in chain.reader.read(chain.ring).splitlines():
            if not line.startswith(b"[INFO] ") or not line.isascii() or not line.decode().isprintable():
                raise Finding(f"a line of the log of block {number} of seed {seed}: {line!r}\n{text}")
        chain.worker.take_errors()
        memory.look(number)
    return answered


def one_question(rng: random.Random, chain: Chain, upstream: Upstream, drops: bool) -> bool:
    """Whether it has an answer. Raises Finding."""
    message = question(rng, WIRES)
    if rng.random() < 0.3 and len(message) > 23 and message[11] == 1:
        # Options: a client subnet, others, and some that do not fit their lengths.
        options = b"".join(
            struct.pack(">HH", code, len(data)) + data
            for code in rng.choices((3, 8, 10, 12, 15, 65518), k=rng.randrange(1, 5))
            for data in [rng.choice((b"\0\1\x18\0\x7f\0\0", b"\0\2\x30\0" + bytes(6), b"", rng.randbytes(8)))]
        )
        message = message[:-2] + struct.pack(">H", len(options)) + options
        if rng.random() < 0.2:
            message = mangled(rng, message)
    client = rng.choice((b"\x7f\0\0\1", b"\x0a\0\0\1", b"\x20\x01\x0d\xb8" + bytes(12)))
    tcp = rng.random() < 0.5
    said = chain.trial.ask(message, client=client, tcp=tcp)
    for _ in range(MAX_WAITS):
        waiting = chain.trial.asked(chain.service)
        if not waiting:
            break
        place = rng.randrange(len(waiting))
        heard = chain.trial.say(chain.service, upstream.reply(waiting[place]), number=place)
        # What is asked in the background has no reply.
        if said is WAITS and heard is not None:
            said = heard
    else:
        raise Finding(f"it never ends: {message.hex()}")
    if said is WAITS:
        said = None
    assert said is None or isinstance(said, bytes)
    try:
        if said is not None or not drops:
            check(message, said, tcp=tcp)
        if said is not None:
            walk(said)
    except (Finding, Broken) as what:
        raise Finding(f"{what}: {message.hex()} tcp {tcp}, {(said or b'').hex()}") from None
    if rng.random() < 0.1:
        chain.trial.sleep(rng.choice((1, 10, 3700)))
    if chain.trial.kept_bytes:
        raise Finding(f"{chain.trial.kept_bytes} bytes are kept: {message.hex()}")
    return said is not None and said[7] > 0
