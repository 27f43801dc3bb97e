"""var and expr of a template: the same natively and in Python, what is an error, and the bounds."""

from __future__ import annotations

import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.template.config import Config
from fastdns.regex import Regex
from tests.plugins.template.both import Both

pytestmark = pytest.mark.native

PATTERN = r"^(?P<host>[a-z]+)-(?P<n>[0-9]+)(?P<rest>-x)?[.]"


def template(*lines: str, answer: str = r"{{ .Var.v }}", match: str = PATTERN) -> str:
    """A template of TXT records with these lines."""
    options = "\n".join((f"match {match}", *lines, f'answer "{{{{ .Name }}}} 60 IN TXT \\"{answer}\\""'))
    return f"template IN TXT {{\n{options}\n}}"


def said(options: str, name: str = "web-7.example.", **how: object) -> str:
    """The text that both answer with; or the rcode; or "next"."""
    reply = Both(options, **how).check(name, "TXT")  # type: ignore[arg-type]
    if reply.additional:
        return "next"
    return str(reply.answer[0][0]).strip('"') if reply.answer else dns.rcode.to_text(reply.rcode())


@pytest.mark.parametrize(
    ("options", "expected", "why"),
    [
        (template("var v group('host')"), "web", "a group by name"),
        (template("var v group(2)"), "7", "by number"),
        (template("var v group('2')"), "7", "by number as text"),
        (template("var v group(0)"), "web-7.", "the whole match"),
        (template("var v 'x' + group('rest') + 'x'"), "xx", "a group that takes no part"),
        (template("var v 'x' + group('nope') + group(9) + group(-1) + 'x'"), "xx", "no group"),
        (template("var v 'x' + group(nil) + group(1.0) + group(true) + group([1]) + 'x'"), "xx", "no name"),
        (template("var v group('ho' + 'st')"), "web", "a name that is computed"),
        (template("var v group(name() contains 'web' ? 'n' : 'host')"), "7", "a name of the query"),
        (template("var a 1", "var b a + 1", "var v b * 10"), "20", "each sees those before"),
        (template("var n int(group('n'))", "var v n * 2"), "14", "a number"),
        (template("var v int(group('n')) > 6"), "true", "a bool"),
        (template("var v do() ? group(1) : nil"), "<no value>", "nil"),
        (template("var v repeat(group('host'), 3)"), "webwebweb", "a text that is made"),
        (template("var w repeat(group('host'), 3)", "var v upper(w) + '-' + w"), "WEBWEBWEB-webwebweb", "of one"),
        (template("var l split(name(), '.')", "var v l[1]"), "example", "an array for the next one"),
        (template("var m {a: group('host')}", "var v m.a ?? 'none'", answer="x"), "x", "an unknown type"),
        (template("var h 1 / 2", "var v h * 4 == 2"), "true", "a number with a fraction for the next one"),
        (template("var v let x = group('n'); let y = x + x; y + x", "var w let z = 1; z", answer="{{ .Var.v }}"),
         "777", "let does not touch variables"),
        (template("expr let x = 'other'; x == 'other'", "var v 'kept'", "var w v", answer="{{ .Var.w }}"), "kept",
         "nor in a condition that stands before"),
        (template("var v client_ip() + ' ' + type() + ' ' + class() + ' ' + proto()"), "127.0.0.1 TXT IN udp",
         "what the query is"),
        (template("var v name()"), "web-7.example.", "the name"),
        (template("var v string(size()) + ' ' + server_port()"), "31 53", "the message and the server"),
        (template("var ip client_ip()", "var v incidr(ip, '127.0.0.0/8')"), "true", "a network"),
        (template("var v 1", answer="{{ .Var.v }}{{ .Var.none }}"), "1<no value>", "a variable that there is not"),
        (template("var v 3", answer="{{ if eq .Var.v 3 }}three{{ end }}"), "three", "compared in a template"),
        (template("var v 'abc'", answer="{{ len .Var.v }}{{ slice .Var.v 1 2 }}"), "3b", "cut in a template"),
        (template("var v 7", answer="{{ printf `%03d` .Var.v }}"), "007", "formatted in a template"),
        (template("var v true", "var w 'w'", answer="{{ if .Var.v }}{{ .Var.w }}{{ end }}"), "w", "an if of it"),
        (template("var v incidr('x', '10.0.0.0/8')", "fallthrough"), "SERVFAIL", "a failure never falls through"),
        (template("var v int(group('host'))", "fallthrough"), "SERVFAIL", "no number"),
        (template("var v 1", "expr v == 1"), "1", "a condition that is true"),
        (template("var v 1", "expr v == 2"), "SERVFAIL", "one that is not"),
        (template("var v 1", "expr v == 2", "fallthrough"), "next", "it falls through"),
        (template("var v 1", "expr v == 2", "fallthrough other."), "SERVFAIL", "in other zones"),
        (template("var v 1", "expr v == 1", "expr v == 2", "fallthrough"), "next", "all must be true"),
        (template("var v 1", "expr 1", "fallthrough"), "next", "no bool"),
        (template("var v 1", "expr incidr('x', '10.0.0.0/8')", "fallthrough"), "SERVFAIL", "a failure of it"),
        (template("var v 1", "expr false", "expr incidr('x', '10.0.0.0/8')", "fallthrough"), "next", "not reached"),
        (template("var v 1", "expr false", "fallthrough") + "\n" + template("var v 2"), "2", "the next template"),
        (template("var v int(group('host'))", "fallthrough", match="^other"), "next", "no match, no evaluation"),
        (template('expr "any([\'127.0.0.0/8\', \'10.0.0.0/8\'], incidr(client_ip(), #))"', "var v 1"), "1",
         "an expression in quotes"),
        (template("var v repeat(name(), 4000)"), "SERVFAIL", "more than the memory of a run"),
        (template("var v repeat(name(), 1000)", "var w repeat(name(), 1000)", "var x repeat(name(), 1000)"),
         "SERVFAIL", "all expressions share it"),
        (template("var v 1", 'expr "all(1..1500, all(1..1500, size() > 0))"'), "SERVFAIL", "too much work"),
    ],
    ids=lambda value: value if isinstance(value, str) and "\n" not in value else "",
)  # fmt: skip
def test_both_say_the_same(options: str, expected: str, why: str) -> None:
    assert said(options) == expected, why


def test_values_of_plugins() -> None:
    view = "view inside {\nexpr true\n}\nmetadata\n"
    options = view + template("var v metadata('view/name')", "expr v == 'inside'", answer="{{ .Var.v }}")
    assert said(options, values={"view/name": "inside"}) == "inside"
    options = view + template(answer="{{ .Meta `view/name` }}")
    assert said(options, values={"view/name": "inside"}) == "inside"


def test_failures_and_conditions_that_are_not_true_are_no_matches() -> None:
    both = Both(template("var v int(group('n'))", "expr v > 1", "fallthrough"))
    for name in ("web-1.example.", "web-2.example.", "web-99999999999999999999.example."):
        both.check(name, "TXT")
    for counts in both.counted():
        assert sum(counts.values()) == 1


@settings(deadline=None)
@given(st.text("ab.-017é\\", max_size=8), st.sampled_from(["host", "n", "rest", "0", "3"]))
def test_any_text(text: str, group: str) -> None:
    quoted = text.replace("\\", "\\\\")
    options = template(f"var v lower(group('{group}') + '{quoted}')", "expr len(v) != 3", "fallthrough", answer="x")
    said(options, "web-12-x.example.")


@pytest.mark.parametrize(
    ("options", "line", "message"),
    [
        ("var", 3, "the name of a variable, and an expression"),
        ("var v", 3, "the name of a variable, and an expression"),
        ("var 1a 1", 3, "invalid variable name '1a'"),
        ("var é 1", 3, "invalid variable name 'é'"),
        ("var a-b 1", 3, "invalid variable name 'a-b'"),
        *((f"var {name} 1", 3, f"variable name '{name}' is reserved") for name in (
            "len", "true", "nil", "name", "type", "group", "let", "in", "and", "if", "matches", "any", "metadata",
        )),
        ("var v 1\nvar v 2", 4, "variable name 'v' is reserved"),
        ("var v (", 3, "could not compile expression: v: unexpected end of expression, at character 2 of '('"),
        ("var a b", 3, "could not compile expression: a: unknown name b"),
        ("var a 1\nvar b a + 'x'", 4, "mismatched types int and string"),
        ("var a type('x')", 3, "too many arguments to call type"),
        ("var a group()", 3, "not enough arguments to call group"),
        ("var a group", 3, "group is a function: group()"),
        ("var a 1\nvar b let a = 2; a", 4, "cannot redeclare"),
        ("var b a\nvar a 1", 3, "unknown name a"),
        ("expr", 3, "an expression"),
        ("expr (", 3, "could not compile expression: unexpected end of expression, at character 2 of '('"),
        ("expr a == 1\nvar a 1", 3, "unknown name a"),
        ("\n".join(f"var v{i} 1" for i in range(32)), 35, "at most 31 variables"),
        ("\n".join("expr true" for i in range(65)), 68, "at most 64 conditions"),
    ],
)  # fmt: skip
def test_errors(options: str, line: int, message: str) -> None:
    with pytest.raises(CorefileError) as raised:
        load(f". {{\ntemplate IN A {{\n{options}\n}}\n}}", "Corefile", environ={})
    assert message in str(raised.value)
    assert f"Corefile:{line} - " in str(raised.value)


def test_31_variables() -> None:
    lines = [f"var v{i} {i}" for i in range(31)]
    answer = " ".join(f"{{{{ .Var.v{i} }}}}" for i in range(31))
    assert said(template(*lines, answer=answer)) == " ".join(map(str, range(31)))


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("1 / 2", "float"),
        ("split(name(), '.')", "[]string"),
        ("{a: 1}", "map"),
        ("max(1, 2)", "any"),
        ("nil", "nil"),
    ],
)
def test_what_no_native_template_reads_runs_in_python(expression: str, kind: str) -> None:
    config = load(f". {{\n{template(f'var v {expression}')}\n}}", environ={}).blocks[0].plugins["template"]
    assert isinstance(config, Config)
    (record,) = config.python
    assert record.why == f".Var.v, which is of type {'array' if '[]' in kind else kind}"


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        ("var v metadata('geoip/city/name')", "geoip/city/name is always empty: the block has no metadata"),
        ("expr incidr(client_ip(), 'x')", "incidr is never true"),
    ],
)
def test_warnings(options: str, warning: str) -> None:
    (said,) = load(f". {{\ntemplate IN A {{\n{options}\n}}\n}}", "Corefile", environ={}).warnings
    assert said.startswith("plugin/template: Corefile:3 - ")
    assert warning in said


def test_groups_of_the_second_pattern() -> None:
    both = Both(template("var v group('a') + group(1)", match="^(?P<b>x)[.] ^(?P<a>y)[.]"))
    for name, text in (("x.example.", '"x"'), ("y.example.", '"yy"')):
        reply = both.check(name, "TXT")
        assert str(reply.answer[0][0]) == text
    assert Regex("^(?P<b>x)[.]").names == ("", "b")


def test_a_name_with_escapes() -> None:
    both = Both(template("var v len(name())", match="x"))
    query = dns.message.make_query(r"x\000\.\200.example.", "TXT")
    assert str(both.natively(query).answer[0][0]) == str(len(r"x\000\.\200.example.")).join('""')
