"""What expressions evaluate to, as expr-lang's documentation and CoreDNS's view have it; errors; bounds."""

from __future__ import annotations

import ipaddress
from typing import Any

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.expr import ExprError, Program, UnsupportedError
from fastdns.expr._message import MessageRun
from fastdns.expr._value import float_text
from fastdns.expr.types import ARRAY, INT, LOOKUP, STRING
from tests.expr.support import evaluate

pytestmark = pytest.mark.native

QUERY = dns.message.make_query(
    "www.Example.org", "AAAA", use_edns=0, payload=4096, want_dnssec=True, id=7
).to_wire()
SIX, LOOPBACK, MAPPED = (ipaddress.ip_address(text).packed for text in ("2001::1", "::1", "::ffff:10.0.0.1"))
PLAIN_QUERY = dns.message.make_query(r"a\.b\010.example", "TYPE65280", use_edns=False, id=8).to_wire()


def value(text: str, message: bytes = QUERY, **how: Any) -> Any:
    """What it evaluates to; "failure" where it fails."""
    found = evaluate(Program(text), message, **how)
    return "failure" if found is None else found[0]


# The examples of expr-lang's language definition, and what its tests pin.
CASES = [
    ("42 == 0x2A and 42 == 0o52 and 42 == 0b101010 and 1_000 == 1000", True),
    (".5 + 0.5 == 1", True),
    ("'a' == \"a\" and 'a\\n' == \"a\\x0a\" and '\\u00e9' == 'é' and '\\u{1F600}' == '😀'", True),
    ("`raw\\n``` == 'raw\\\\n`'", True),
    ("1 /* one */ + 1 // two", 2),
    ("[1, 2, 3][0] == 1 and [1, 2, 3][-1] == 3", True),
    ("'John' in ['John', 'Jane']", True),
    ("'name' in {'name': 'John', 'age': 30}", True),
    ("{a: 1, b: {c: 2}}.b.c", 2),
    ("{a: 1}?.b?.c", None),
    ("{a: 1}.b ?? 'none'", "none"),
    ("({a: nil}.a?.b.c) == nil", True),
    ("[1, 2, 3, 4, 5][1:4] == [2, 3, 4] and [1, 2, 3, 4, 5][1:-1] == [2, 3, 4]", True),
    ("[1, 2, 3][:2] == [1, 2] and [1, 2, 3][2:] == [3] and [1, 2, 3][:] == [1, 2, 3]", True),
    ("'hello'[1:3] + 'hello'[-1:]", "elo"),
    ("'A b' | lower() | split(' ')", ["a", "b"]),
    ("1..3 == [1, 2, 3] and 3..1 == []", True),
    ("let x = 42; let y = 2; x * y", 84),
    ("filter(0..9, {# % 2 == 0})", [0, 2, 4, 6, 8]),
    ("filter([{n: 1}, {n: 2}], .n > 1) == [{n: 2}]", True),
    ("any(1..3, {let n = #; all(1..3, # <= n)})", True),
    ("2 ** 3 ** 2 == 512 and -2 ** 2 == -4 and 2 ^ 3 == 8", True),
    ("7 % 3 == 1 and -7 % 3 == -1", True),
    ("1 / 2 == 0.5", True),
    ("1 < 2 < 3 and not (1 < 3 < 2)", True),
    ("true ? 'a' : 'b'", "a"),
    ("if 1 > 2 { 'a' } else if true { 'b' } else { 'c' }", "b"),
    ("nil ?? nil ?? 3", 3),
    ("false ?: 'else'", "else"),
    ("1; 2; 3", 3),
    ("'foobar' contains 'oba' and 'foobar' startsWith 'foo' and 'foobar' endsWith 'bar'", True),
    ("'foobar' not contains 'x' and not ('foobar' matches '^x')", True),
    ("first([]) contains 'a' or first([]) matches 'a'", False),
    ("trim('  Hi  ') + trim('__Hi__', '_') + trim('éaé', 'é')", "HiHia"),
    ("trimPrefix('HelloWorld', 'Hello') + trimSuffix('HelloWorld', 'World')", "WorldHello"),
    ("upper('hello') + lower('HELLO')", "HELLOhello"),
    ("split('apple,orange,grape', ',', 2)", ["apple", "orange,grape"]),
    ("splitAfter('apple,orange,grape', ',', 2)", ["apple,", "orange,grape"]),
    ("split('aéb', '') == ['a', 'é', 'b'] and split('', '') == [] and split('', ',') == [''] and "
     "split('a', ',', 0) == []",
     True),
    ("replace('Hello World', 'World', 'Universe')", "Hello Universe"),
    ("replace('aaa', 'a', 'b', 2) + replace('aé', '', '-') + replace('ab', '', '-', 1)", "bba-a-é--ab"),
    ("repeat('Hi', 3)", "HiHiHi"),
    ("indexOf('apple pie', 'pie') == 6 and lastIndexOf('apple pie apple', 'apple') == 10 and "
     "indexOf('a', 'b') == -1",
     True),
    ("max(5, 7) == 7 and min([5, [7, 2]], 3) == 2 and max([]) == nil", True),
    ("abs(-5) == 5 and ceil(1.5) == 2.0 and floor(1.5) == 1.0 and round(1.5) == 2.0 and round(-2.5) == -3.0", True),
    ("all([], #) and any([1], # > 0) and one([1, 2], # > 1) and none([1], # > 1)", True),
    ("find([1, 2, 3, 4], # > 2) == 3 and findIndex([1, 2, 3, 4], # > 2) == 2", True),
    ("findLast([1, 2, 3, 4], # > 2) == 4 and findLastIndex([1, 2, 3, 4], # > 2) == 3 and "
     "find([1], # > 1) == nil", True),
    ("count([true, false, true]) == 2 and count(1..9, # > 5) == 4", True),
    ("concat([1, 2], [3], [])", [1, 2, 3]),
    ("flatten([1, [2, [3, 4]]])", [1, 2, 3, 4]),
    ("uniq([1, 2, 3, 2, 1.0])", [1, 2, 3]),
    ("join(['a', 'b'], ',') + join(['c', 'd']) + join([])", "a,bcd"),
    ("reduce(1..9, #acc + #) == 45 and reduce(1..3, #acc + # * #index, 10) == 18", True),
    ("sum([1, 2, 3]) == 6 and sum([{n: 1}, {n: 2}], .n) == 3 and sum([]) == 0", True),
    ("mean([1, 2, 3]) == 2.0 and median([3, 1, 2, 10]) == 2.5 and mean([]) == 0.0", True),
    ("first([1, 2]) == 1 and last([1, 2]) == 2 and first([]) == nil", True),
    ("take([1, 2, 3], 2) == [1, 2] and take([1], 9) == [1]", True),
    ("reverse([3, 1, 4])", [4, 1, 3]),
    ("sort([3, 1, 4.5])", [1, 3, 4.5]),
    ("sort(['b', 'a'], 'desc')", ["b", "a"]),
    ("sortBy([{n: 2}, {n: 1}], .n) == [{n: 1}, {n: 2}] and sortBy([1, 3], #, 'desc') == [3, 1]", True),
    ("keys({b: 1, a: 2}) == ['a', 'b'] and values({b: 1, a: 2}) == [2, 1]", True),
    ("int('-123') == -123 and int(1.9) == 1 and float('1.5e3') == 1500 and float(2) == 2.0", True),
    ("string(123) + string(1.5) + string(true) + string(nil) + "
     "string([1, 'a', {k: 1.0}])", "1231.5true<nil>[1 a map[k:1]]"),
    ("len([1, 2]) == 2 and len({a: 1}) == 1 and len('héllo') == 5", True),
    ("get([1, 2], 1) == 2 and get([1], 5) == nil and get({a: 1}, 'a') == 1 and get({a: 1}, 'b') == nil", True),
    ("bitand(0b1010, 0b1100) == 0b1000 and bitor(0b1010, 0b1100) == 0b1110 and "
     "bitxor(0b1010, 0b1100) == 0b110", True),
    ("bitnand(0b1010, 0b1100) == 0b10 and bitnot(0b1010) == -0b1011 and bitshl(0b101101, 2) == 0b10110100", True),
    ("bitshr(0b101101, 2) == 0b1011 and bitushr(-0b101, 2) == 4611686018427387902 and bitshl(1, 64) == 0", True),
    ("9223372036854775807 + 1 == -9223372036854775807 - 1", True),
    ("1 == 1.0 and 1 in [1.0] and [1, [2]] == [1.0, [2.0]]", True),
    ("'b' > 'a' and 'a' < 'aa'", True),
    ("[1, 2, 3] | map(# * 2) | filter(# > 2) | len()", 2),
    ("::len('abc')", 3),
    # What fails, and does not end anything else.
    ("[1, 2][5]", "failure"),
    ("[1, 'a'][0] + [1, 'a'][1]", "failure"),
    ("first([]).name", "failure"),
    ("{a: nil}?.a.b", "failure"),
    ("int('x')", "failure"),
    ("id() % (id() - 7)", "failure"),
    ("reduce([], #acc)", "failure"),
    ("sort([1, 'a'])", "failure"),
    ("repeat('x', 100000)", "failure"),
    ("0..2000000 == []", "failure"),
    ("true || [1][5] == 1", True),
    ("false && [1][5] == 1", False),
    # What the query is.
    ("type() == 'AAAA' && name() == 'www.example.org.' && class() == 'IN' && proto() == 'udp'", True),
    ("client_ip() == '127.0.0.1' && port() == '5353' && server_ip() == '127.0.0.2' && server_port() == '53'", True),
    ("id() == 7 && opcode() == 0 && do() && bufsize() == 4096 && size() == 44", True),
    ("type() in ['A', 'AAAA'] && type() not in ['MX']", True),
    ("name() matches '^www\\\\..*\\\\.org\\\\.$'", True),
    ("size() in 12..512 and id() in [7, 8] and id() not in 8..9", True),
    ("incidr(client_ip(), '127.0.0.0/24') && !incidr(client_ip(), '192.168.0.0/16')", True),
    ("incidr(client_ip(), '::/0')", False),
    ("incidr(server_ip(), '127.0.0.2/32')", True),
    ("incidr(name(), '127.0.0.0/8')", "failure"),
    ("incidr(client_ip(), '127.0.0.0' + '/8')", True),
    ("incidr(client_ip(), type())", "failure"),
    ("metadata('view/name')", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[case[0] for case in CASES])
def test_values(text: str, expected: Any) -> None:
    found = value(text)
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    ("text", "how", "expected"),
    [
        ("[name(), type()]", {}, [r"a\.b\010.example.", "TYPE65280"]),
        ("[string(bufsize()), string(do())]", {}, ["512", "false"]),
        ("[proto(), string(bufsize())]", {"stream": True}, ["tcp", "65535"]),
        ("[client_ip(), server_ip()]", {"client": SIX, "server": LOOPBACK}, ["2001::1", "::1"]),
        ("[client_ip(), port()]", {"client": MAPPED, "client_port": 1}, ["10.0.0.1", "1"]),
        ("incidr(client_ip(), '10.0.0.0/8')", {"client": MAPPED}, True),
        ("server_ip()", {"server": b""}, "::"),
    ],
)  # fmt: skip
def test_other_queries(text: str, how: dict[str, Any], expected: Any) -> None:
    assert value(text, PLAIN_QUERY, **how) == expected


@pytest.mark.parametrize(
    ("text", "error", "at"),
    [
        ("foo() == 1", "unknown name foo", 0),
        ("name() == nam", "unknown name nam", 10),
        ("port() == 53", "invalid operation: == (mismatched types string and int)", 7),
        ("1 + 'a'", "invalid operation: + (mismatched types int and string)", 2),
        ("not 1", "invalid operation: ! (mismatched type int)", 0),
        ("1 in ['a']", "cannot use int as type string in array", 2),
        ("'a' in 'abc'", "invalid operation: in (mismatched types string and string)", 4),
        ("1 ? 2 : 3", "non-bool expression (type int) used as condition", 2),
        ("'a' matches '('", "error parsing regexp: missing closing ): `(`", 12),
        ("len(1)", "invalid argument for len (type int)", 4),
        ("len()", "not enough arguments to call len", 0),
        ("name(1)", "too many arguments to call name", 0),
        ("filter(1, #)", "builtin filter takes only array (got int)", 7),
        ("filter([1], # + 1)", "predicate should return boolean (got int)", 14),
        ("filter([1], #index > 1)", "unknown pointer #index", 12),
        ("#", "unexpected '#'", 0),
        ("1 +", "unexpected end of expression", 3),
        ("(1", "unexpected end of expression", 2),
        ("1 2", "unexpected '2'", 2),
        ("'a", "literal not terminated", 0),
        ("'\\q'", "unable to unescape string", 0),
        ("1 ?? 2 + 3", "?? and + cannot be mixed: use parentheses", 7),
        ("let len = 1; len", "cannot redeclare len", 0),
        ("1 % 0", "integer divide by zero", 2),
        ("'a'.b", "type string has no field b", 4),
        ("[1].b", "array elements can only be selected using an integer (got string)", 4),
        ("name().foo()", "there is no method foo", 7),
        ("9223372036854775808", "the number is too large", 0),
        ("/* a", "unclosed comment", 0),
        ("a @ b", "unrecognized character: '@'", 2),
    ],
)
def test_errors(text: str, error: str, at: int) -> None:
    with pytest.raises(ExprError) as raised:
        Program(text)
    assert error in str(raised.value)
    assert raised.value.at == at


@pytest.mark.parametrize(
    "text",
    ["now()", "toJSON(1)", "groupBy([1], #)", "$env", "name", "name() matches type()", "metadata(name())"],
)
def test_what_native_code_cannot_do_is_an_error(text: str) -> None:
    with pytest.raises(UnsupportedError):
        Program(text)


def test_bytes_are_not_supported() -> None:
    with pytest.raises(ExprError, match="bytes are not supported"):
        Program("b'x' == 'x'")


def test_a_network_and_an_address_that_has_a_name() -> None:
    """The network is read before any query: the variable has no value then."""
    program = Program("let ip = client_ip(); any(['x'], incidr(ip, '127.0.0.0/8'))")
    assert evaluate(program, QUERY) == (True,)
    assert evaluate(program, QUERY, client=SIX) == (False,)


def test_variables_of_a_run() -> None:
    known = [("groups", LOOKUP), ("text", STRING), ("number", INT)]
    run = MessageRun(QUERY, values={"a/b": "value"})
    run.give({"0": "all", "name": "part"})
    assert run.evaluate(Program("groups('name') + groups(0) + groups(1)", variables=known[:1]), keep=True) == (
        "partall",
    )
    assert run.evaluate(Program("len(text)", variables=known[:2]), keep=True) == (7,)
    last = Program("let x = number; [text, x, metadata('a/b')]", variables=known)
    assert run.evaluate(last) == (["partall", 7, "value"],)
    assert (last.type, last.values) == (ARRAY, ("a/b",))
    # All of them share one memory, and nothing goes on behind a failure.
    assert run.evaluate(Program("len(repeat(name(), 1000))")) == (16000,)
    assert run.evaluate(Program("len(repeat(name(), 1100))")) is None
    assert run.evaluate(Program("1")) is None


def test_constants_are_evaluated_once() -> None:
    """So a large array costs nothing but the look into it."""
    names = ", ".join(f"'n{number}.example.'" for number in range(4000))
    assert value(f"name() in [{names}]") is False
    assert value(f"name() in [{names}, 'www.example.org.']") is True
    assert value("count(1..1500, # > 0) == 1500") is True
    assert value(" || ".join(["name() == 'x'"] * 2000)) is False


def test_work_and_memory_are_bounded() -> None:
    assert value("len(map(0..1500 + id() - 7, #)) > 0") == "failure"
    assert value("all(1..1000, all(1..1000, # + id() > 0))") == "failure"
    assert value("repeat(name(), 2100) == ''") == "failure"
    assert value("all(1..100, all(1..100, # > 0))") is True
    assert value("id() + " * 100 + "1") == 701
    for deep in ("id() + " * 200 + "1", "[" * 100 + "]" * 100, "!" * 100 + "true", "a.b" * 100):
        with pytest.raises(ExprError, match=r"nested|unknown name"):
            Program(deep)


def test_warnings() -> None:
    assert Program("[1][3] == 1").warnings == [
        "a part of the expression always fails: where it is reached, the expression is not true"
    ]
    program = Program("incidr(client_ip(), '10.0.0.0/33')")
    assert program.warnings == ["incidr is never true: invalid CIDR address: 10.0.0.0/33"]
    assert evaluate(program, QUERY) is None
    assert "expected PLUGIN/NAME" in Program("metadata('x') == ''").warnings[0]
    assert Program("metadata('a/b') == metadata('c/d') || metadata('a/b') == ''").values == ("a/b", "c/d")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_as_text(number: float) -> None:
    """As few digits as tell it apart: Python's repr has as many."""
    assert float(float_text(number)) == float(float_text(number, "f")) == number
    digits = repr(number).partition("e")[0].replace(".", "").replace("-", "").strip("0")
    assert float_text(number).partition("e")[0].replace(".", "").replace("-", "").strip("0") == digits
    assert "e" not in float_text(number, "f")


@pytest.mark.parametrize(
    ("number", "text"),
    [(1e21, "1e+21"), (1234567.0, "1.234567e+06"), (123456.0, "123456"), (1e-5, "1e-05"),
     (0.0001, "0.0001"), (-0.0, "-0"), (1.0, "1"),
     (float("inf"), "+Inf"), (float("-inf"), "-Inf"), (float("nan"), "NaN"), (123456789.5, "1.234567895e+08")],
)  # fmt: skip
def test_numbers_as_go_writes_them(number: float, text: str) -> None:
    assert float_text(number) == text


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 128))
def test_networks(address: Any, other: Any, length: int) -> None:
    network = ipaddress.ip_network((other, min(length, other.max_prefixlen)), strict=False)
    plain = getattr(address, "ipv4_mapped", None) or address
    expected = plain in network if plain.version == network.version else False
    if network.version == 4 or network.prefixlen < 96 or not network.network_address.ipv4_mapped:
        assert Program(f"incidr('{address}', '{network}')").constant() == (expected,)
        assert value(f"incidr(client_ip(), '{network}')", client=address.packed) is expected
