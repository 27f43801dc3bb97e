"""The options of template: which questions a template answers, and with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import extend, one, read_options, store, to_zones
from fastdns.dns import mnemonics
from fastdns.plugins.template.expressions import MAX_CONDITIONS, MAX_VARIABLES, Expression, Expressions
from fastdns.plugins.template.limits import MAX_RECORDS
from fastdns.plugins.template.tree import Tree

if TYPE_CHECKING:
    from fastdns.plugins.template.compile import Names
    from fastdns.plugins.template.records import Plan
    from fastdns.regex import Regex

CLASS_ANY = TYPE_ANY = 255
CLASSES = {name: number for number, name in mnemonics.CLASSES.items()} | {"ANY": CLASS_ANY}
TYPES = {name: number for number, name in mnemonics.TYPES.items()}
# NOTIMPL is what CoreDNS's library also calls it.
RCODES = {name: number for number, name in mnemonics.RCODES.items()} | {"NOTIMPL": 4}
# Bounds the time and memory of compiling one.
MAX_PATTERN_CHARACTERS = 10_000
MAX_PATTERNS = 256
# An EDNS option of the server's own has 512 bytes at most.
MAX_REASON_BYTES = 480
EDE_CODE_BYTES = 2


@dataclass(frozen=True, slots=True)
class Record:
    """A template of a record. section: answer, authority or additional. plan None: it runs in Python, see why."""

    section: str
    tree: Tree
    plan: Plan | None
    why: str
    file: str
    line: int

    @property
    def text(self) -> str:
        """As metrics call it."""
        return str(self.tree)


@dataclass(frozen=True, slots=True)
class Template:
    """One of a block. patterns: none matches all. fallthrough: zones whose questions go on where nothing matches;
    None: none does. ede: an extended DNS error's code and reason. names: what the programs of records read by
    number. expressions: var and expr, in order.
    """

    qclass: int
    qtype: int
    zones: tuple[str, ...]
    names: Names
    patterns: tuple[Regex, ...] = ()
    records: tuple[Record, ...] = ()
    rcode: int = 0
    ede: tuple[int, str] | None = None
    fallthrough: tuple[str, ...] | None = None
    expressions: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """The templates of a block, in order."""

    templates: tuple[Template, ...] = field(default=())

    @property
    def python(self) -> tuple[Record, ...]:
        """The records that cannot be made natively. With one of them the whole block's templates run in Python."""
        return tuple(record for one in self.templates for record in one.records if record.plan is None)


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError."""
    return Config(tuple(_template(d, block) for _ in d.occurrences()))


def _template(d: Dispenser, block: BlockContext) -> Template:
    from fastdns.plugins.template.compile import Names
    from fastdns.plugins.template.records import is_no_record

    qclass = _number(d, CLASSES, "a class such as IN or ANY", "invalid query class")
    qtype = _number(d, TYPES, "a type such as A or ANY", "invalid RR type")
    zones = to_zones(d, d.remaining_args()) or block.zones
    expressions = Expressions()
    options = {
        "match": extend("patterns", _patterns),
        "answer": extend("records", _records("answer")),
        "authority": extend("records", _records("authority")),
        "additional": extend("records", _records("additional")),
        "var": extend("expressions", lambda d: (_variable(d, block, expressions),)),
        "expr": extend("expressions", lambda d: (_expression(d, block, expressions, "", d.remaining_args()),)),
        "rcode": store("rcode", _rcode),
        "ederror": store("ede", _ede),
        "fallthrough": store("fallthrough", _fallthrough),
        "upstream": _upstream(block),
    }
    fields: dict[str, Any] = {}
    read_options(d, options, fields, ENDING)
    counts = (
        ("records", len(fields.get("records", ())), MAX_RECORDS),
        ("patterns", len(fields.get("patterns", ())), MAX_PATTERNS),
        ("variables", len(expressions.variables), MAX_VARIABLES),
        ("conditions", len(expressions.conditions), MAX_CONDITIONS),
    )
    for name, count, most in counts:
        if count > most:
            raise d.error(f"a template has at most {most} {name}, got {count}")
    # A template reads all variables of its block, also those that stand behind it.
    names = Names(variables={name: program.type.name for name, program in expressions.variables})
    fields["records"] = tuple(_planned(record, names) for record in fields.get("records", ()))
    block.warnings.extend(
        f"plugin/template: {record.file}:{record.line} - this {record.section} is no resource record: queries "
        "get SERVFAIL; expected NAME TTL IN TYPE RDATA, with a TTL from 0 to 4294967295"
        for record in fields["records"]
        if is_no_record(record.tree)
    )
    return Template(qclass, qtype, zones, names, **fields)


def _number(d: Dispenser, known: dict[str, int], expected: str, wrong: str) -> int:
    if not d.next_arg():
        raise d.arg_error(expected)
    if d.text not in known:
        raise d.error(f"{wrong} {d.text!r}; expected {expected}, in upper case")
    return known[d.text]


def _patterns(d: Dispenser) -> tuple[Regex, ...]:
    args = d.remaining_args()
    if not args:
        raise d.arg_error("at least one regular expression")
    return tuple(_pattern(d, text) for text in args)


def _pattern(d: Dispenser, text: str) -> Regex:
    if len(text.encode("utf-8", "surrogateescape")) > MAX_PATTERN_CHARACTERS:
        raise d.error(f"regex pattern too long: {len(text)} > {MAX_PATTERN_CHARACTERS}")
    # Most templates have no regular expression: they do without the memory of what compiles one.
    from fastdns.regex import Regex, RegexError

    try:
        return Regex(text)
    except RegexError as error:
        raise d.error(f"could not parse regex: {text}, {error}") from None


def _records(section: str) -> Callable[[Dispenser], tuple[Record, ...]]:
    def read(d: Dispenser) -> tuple[Record, ...]:
        args = d.remaining_args()
        if not args:
            raise d.arg_error("at least one resource record")
        return tuple(_record(d, section, text) for text in args)

    return read


def _record(d: Dispenser, section: str, text: str) -> Record:
    from fastdns.plugins.template.compile import check_metas
    from fastdns.plugins.template.syntax import parse as parse_template
    from fastdns.plugins.template.tree import TemplateError

    try:
        tree = parse_template(text)
        check_metas(tree)
    except TemplateError as error:
        raise d.error(f"could not compile template: {text}: {error}") from None
    return Record(section, tree, None, "", d.file, d.line)


def _planned(record: Record, names: Names) -> Record:
    from fastdns.plugins.template.compile import NotNativeError
    from fastdns.plugins.template.records import plan

    try:
        return replace(record, plan=plan(record.tree, names))
    except NotNativeError as why:
        return replace(record, why=str(why))


def _variable(d: Dispenser, block: BlockContext, expressions: Expressions) -> Expression:
    args = d.remaining_args()
    if len(args) < 2:
        raise d.arg_error("the name of a variable, and an expression")
    why = expressions.refusal(args[0])
    if why:
        raise d.error(why)
    return _expression(d, block, expressions, args[0], args[1:])


def _expression(
    d: Dispenser, block: BlockContext, expressions: Expressions, name: str, words: list[str]
) -> Expression:
    from fastdns.expr import ExprError

    if not words:
        raise d.arg_error("an expression")
    one = Expression(name, " ".join(words))
    try:
        program = expressions.add(one)
    except ExprError as error:
        place = f"at character {error.at + 1} of {one.text!r}"
        raise d.error(f"could not compile expression: {name and name + ': '}{error}, {place}") from None
    warnings = list(program.warnings)
    if program.values and block.value_zones is None:
        warnings.append(f"{program.values[0]} is always empty: the block has no metadata, so values cannot be read")
    block.warnings.extend(f"plugin/template: {d.file}:{d.line} - {warning}" for warning in warnings)
    return one


def _rcode(d: Dispenser) -> int:
    name = one(d, "a response code, such as NXDOMAIN")
    if name not in RCODES:
        raise d.error(f"unknown rcode {name!r}; expected one of {', '.join(RCODES)}")
    return RCODES[name]


def _ede(d: Dispenser) -> tuple[int, str]:
    args = d.remaining_args()
    if len(args) not in (1, 2):
        raise d.arg_error("the code of an extended DNS error, and optionally a reason")
    if not (args[0].isascii() and args[0].isdigit() and len(args[0]) < 10 and int(args[0]) < 65536):
        raise d.error(f"error parsing extended DNS error code {args[0]!r}; expected a number from 0 to 65535")
    reason = args[1] if len(args) == 2 else ""
    if len(reason.encode("utf-8", "surrogateescape")) > MAX_REASON_BYTES:
        raise d.error(f"the reason of an extended DNS error has at most {MAX_REASON_BYTES} bytes")
    return int(args[0]), reason


def _fallthrough(d: Dispenser) -> tuple[str, ...]:
    return to_zones(d, d.remaining_args()) or (".",)


def _upstream(block: BlockContext) -> Callable[[Dispenser, dict[str, Any]], None]:
    def read(d: Dispenser, fields: dict[str, Any]) -> None:
        d.remaining_args()
        text = "upstream does nothing, as in CoreDNS; remove it"
        block.warnings.append(f"plugin/template: {d.file}:{d.line} - {text}")

    return read


# Behind these CoreDNS takes the closing brace on their line.
ENDING = {"rcode": 1, "fallthrough": 0}
