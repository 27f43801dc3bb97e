"""Random templates, whole and damaged: read or refused, and run on questions.

What has a native program says what the evaluator in Python says. What a record's text comes to is rdata of its
type.
"""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

import dns.exception
import dns.rdata
import dns.rdataclass

from fastdns.dns.names import wire_name
from fastdns.errors import CorefileError
from fastdns.plugins.template import records
from fastdns.plugins.template.compile import NotNativeError
from fastdns.plugins.template.syntax import parse
from fastdns.plugins.template.tree import TemplateError
from tests.expr.generated import expression
from tests.fuzz.findings import Finding, Memory
from tests.fuzz.questions import ask
from tests.fuzz.replies import RDATA
from tests.fuzz.zonefiles import damaged_text
from tests.plugins.template.both import Both
from tests.plugins.template.support import in_python, natively
from tests.plugins.template.test_language import FUNCTIONS, OPERANDS, PARTS

SEEDS = [json.loads(line)[0] for line in (Path(__file__).parents[1] / "plugins/template/language.jsonl").open()]
PIECES = (*PARTS, *OPERANDS, *FUNCTIONS, " | ", "{{ end }}", "{{ range 3 }}", "{{ else }}", "{{ break }}")
BLOCKS = ("if", "with", "range", "with $y :=", "range $i, $y :=", "if $y :=")
# Of records.
WORDS = (
    "{{ .Name }}",
    "{{ .Zone }}",
    "a.",
    "60",
    "IN",
    "{{ .Class }}",
    "CH",
    "4294967295",
    "1h",
    "(",
    ")",
    ";",
    "\\",
)
VALUES = (
    "{{ .Group.a }}", "{{ index .Match 1 }}", "{{ .Remote }}", "10.0.{{ .Group.a }}.1", "{{ len .Name }}",
    "{{ .Name }}", "{{ .Question.Name }}", "{{ .Var.v }}", "{{ parseInt .Group.a 10 8 }}",
    "{{ range .Match }}{{ . }} {{ end }}",
    "{{ slice .Name 0 3 }}", "\\# {{ len .Zone }} 00", "{{ .Regex }}", "{{ .Type }}", "192.0.2.1",
    "b.", "1 2 3 b.",
)  # fmt: skip
FITTING = (
    ("A", "10.0.{{ .Question.Qtype }}.1"), ("TXT", "{{ .Regex }} {{ .Remote }}"), ("CNAME", "{{ .Name }}"),
    ("TXT", "{{ range .Match }}x{{ . }} {{ end }}y"), ("MX", "{{ len .Name }} {{ .Name }}"), ("NS", "{{ .Zone }}"),
    ("SRV", "1 2 3 {{ .Question.Name }}"), ("PTR", "{{ slice .Name 1 }}"), ("AAAA", "2001:db8::{{ len .Zone }}"),
)  # fmt: skip
PATTERNS = (
    "^(?P<a>[0-9]+)[.]",
    "(?P<a>[a-z0-9])(x)?",
    "^(?P<a>[^.]*)",
    ".*",
    "^$",
    "(?P<a>.)(.)(.)(.)(.)(.)",
    "[.]example",
)
KINDS = (
    "A",
    "AAAA",
    "TXT",
    "MX",
    "SRV",
    "CNAME",
    "PTR",
    "SOA",
    "NS",
    "CAA",
    "HTTPS",
    "NAPTR",
    "TYPE65300",
    "DS",
    "LOC",
)
ZONES = ("example.", "org.", ".", "a.example.")
NAMES = [
    wire_name(name) for name in ("10.example.", "x.a.example.", "example.org.", ".", "10.1.org.", "a-b.example.")
]
QUESTIONS = 40
# DS, SSHFP, TLSA, SMIMEA, CDS: dnspython wants digests of the length that their algorithm has.
DIGESTS = (43, 44, 52, 53, 59)


def program(rng: random.Random, depth: int = 0) -> str:
    """A template's text."""
    if depth == 0 and rng.random() < 0.3:
        return str(rng.choice(SEEDS))
    calls = []
    for _ in range(rng.randrange(1, 4)):
        call = " ".join((rng.choice(FUNCTIONS), *rng.choices(OPERANDS, k=rng.randrange(4))))
        calls.append(rng.choice((rng.choice(OPERANDS), call, f"({call})")))
    pipe = " | ".join(calls)
    if depth == 3 or rng.random() < 0.4:
        return rng.choice((f"{{{{ {pipe} }}}}", f"{{{{ {pipe} }}}}", f"{{{{ $x = {pipe} }}}}", "text", "é"))
    body = "".join(program(rng, depth + 1) for _ in range(rng.randrange(3)))
    rest = f"{{{{ else }}}}{program(rng, depth + 1)}" if rng.random() < 0.4 else ""
    made = f"{{{{ {rng.choice(BLOCKS)} {pipe} }}}}{body}{rest}{{{{ end }}}}"
    return made if depth else "{{ $x := .Name }}{{ $y := 1 }}" + made


def fuzz_templates(count: int, seed: int) -> int:
    """Read and run count templates; returns how many natively. Raises Finding."""
    rng = random.Random(seed)
    memory = Memory(2000)
    taken = 0
    for number in range(count):
        text = program(rng)
        if rng.random() < 0.5:
            text = damaged_text(rng, text, PIECES).decode("utf-8", "surrogateescape")
        try:
            tree = parse(text)
        except TemplateError:
            continue
        said = in_python(tree)
        with contextlib.suppress(NotNativeError):
            native = natively(tree)
            taken += 1
            if native != said:
                raise Finding(f"{native!r} is not {said!r}: template {number} of seed {seed}: {text!r}")
        memory.look(number)
    return taken


def fuzz_records(count: int, seed: int) -> int:
    """Read count records in presentation form; returns how many are. Raises Finding."""
    rng = random.Random(seed)
    memory = Memory(5000)
    taken = 0
    for number in range(count):
        kind = rng.choice(list(RDATA))
        text = f"{rng.choice(('a.', 'b', '.'))} {rng.choice(('60 IN', 'IN', ''))} {kind} {RDATA[kind](rng)}"
        raw = damaged_text(rng, text) if rng.random() < 0.8 else text.encode()
        found = records.read(raw)
        memory.look(number)
        if found is None:
            continue
        taken += 1
        owner, _, rrtype, rdata = found
        try:
            if not 0 < len(owner) <= 255 or len(rdata) > 65535:
                raise Finding("too long")
            if rrtype not in DIGESTS:
                dns.rdata.from_wire(dns.rdataclass.IN, rrtype, rdata, 0, len(rdata))
        except (Finding, dns.exception.DNSException) as error:
            raise Finding(f"{error!r}: record {number} of seed {seed}: {raw!r} is {found}") from None
    return taken


def quoted(text: str) -> str:
    """A word of a Corefile."""
    return '"' + text.replace('"', '\\"') + '"'


def template(rng: random.Random) -> str:
    """A template's block."""
    lines = []
    for _ in range(rng.choice((0, 0, 1, 2))):
        lines.append(f"match {quoted(rng.choice(PATTERNS))}")
    if rng.random() < 0.3:
        lines.append(f"var v {quoted(expression(rng.choice('sib'), rng))}")
    if rng.random() < 0.3:
        lines.append(f"expr {quoted(expression('b', rng))}")
    for _ in range(rng.randrange(1, 5)):
        kind = rng.choice(KINDS)
        if rng.random() < 0.5:
            kind, rdata = rng.choice(FITTING)
        else:
            rdata = RDATA[kind](rng) if kind in RDATA and rng.random() < 0.6 else rng.choice(VALUES)
        words = [rng.choice(("{{ .Name }}", "{{ .Name }}", "*.a.")), "60", "IN", kind, rdata]
        if rng.random() < 0.15:
            words.insert(rng.randrange(5), rng.choice((*WORDS, *VALUES, program(rng))))
        lines.append(f"{rng.choice(('answer', 'answer', 'authority', 'additional'))} {quoted(' '.join(words))}")
    lines += rng.choice(
        ((), ("rcode NXDOMAIN",), ("ederror 17 reason",), ("fallthrough",), ("fallthrough example",))
    )
    options = "\n".join(lines)
    return f"template IN {rng.choice(('ANY', 'ANY', 'ANY', *KINDS[:12]))} {rng.choice(ZONES)} {{\n{options}\n}}"


def fuzz_template_steps(count: int, seed: int) -> int:
    """Ask the templates of count blocks; returns how many questions have an answer. Raises Finding."""
    rng = random.Random(seed)
    memory = Memory(200)
    answered = 0
    for number in range(count):
        text = "\n".join(template(rng) for _ in range(rng.randrange(1, 4)))
        try:
            both = Both(text)
        except (CorefileError, AssertionError):
            # No template, or one that runs in Python.
            continue
        try:
            for _ in range(QUESTIONS):
                reply = ask(both.worker.serve, rng, NAMES)
                answered += reply is not None and reply[7] > 0
            for name in ("10.example.", "x.a.example.", "example.org."):
                both.check(name, rng.choice(KINDS[:12]), edns=rng.random() < 0.5)
        except (Finding, AssertionError, dns.exception.DNSException) as what:
            raise Finding(f"{what!r}: block {number} of seed {seed}: {text}") from None
        both.worker.take_errors()
        memory.look(number)
    return answered
