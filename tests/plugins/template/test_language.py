"""The template language: language.jsonl has templates and what Go 1.26's text/template makes of each.

A line is [text, what it comes to, the tree as Go prints it]; null: it fails when it is executed; false: it is no
template, and has no tree.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.plugins.template.compile import NotNativeError
from fastdns.plugins.template.evaluate import FailureError, execute
from fastdns.plugins.template.limits import MAX_RR_TEXT_BYTES
from fastdns.plugins.template.syntax import MAX_NESTING, parse
from fastdns.plugins.template.tree import TemplateError
from tests.plugins.template.support import DATA, in_python, natively

pytestmark = pytest.mark.native

CASES = [json.loads(line) for line in (Path(__file__).parent / "language.jsonl").read_text().splitlines()]
PARSED = [case for case in CASES if case[1] is not False]


@pytest.mark.parametrize("case", PARSED, ids=lambda case: case[0].strip())
def test_what_go_says(case: tuple[str, str | None, str]) -> None:
    text, wanted, spelled = case
    tree = parse(text)
    assert str(tree) == spelled
    said = in_python(tree)
    # Go's JSON has no bytes that are not UTF-8.
    assert (None if said is None else said.decode("utf-8", "replace")) == wanted
    try:
        assert natively(tree) == said
    except NotNativeError as why:
        assert str(why)


@pytest.mark.parametrize("text", [case[0] for case in CASES if case[1] is False])
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(TemplateError):
        parse(text)


@pytest.mark.parametrize("form", ["%5000d", "%.5000d", "%0999999999d"])
def test_a_format_that_is_too_wide_fails(form: str) -> None:
    """It was printed with a width of 4096, which nobody had asked for."""
    assert in_python(parse(f'{{{{ printf "{form}" 1 }}}}')) is None


def test_most_are_native() -> None:
    """What users write is: these are those that are not, with what stands in the way."""
    reasons = set()
    for text, _, _ in PARSED:
        try:
            natively(parse(text))
        except NotNativeError as why:
            reasons.add(str(why).split()[0])
    assert {why for why in reasons if not why.startswith((".Message", ".Question", ".Var"))} <= {
        "a", "an", "the", "values", "so",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ range 100000 }}{{ end }}", "too many rounds"),
        ("{{ range 100 }}{{ range 100 }}{{ range 100 }}{{ end }}{{ end }}{{ end }}", "too many rounds together"),
        ("{{ range 2000 }}0123456789{{ end }}", "too long a text"),
        ('{{ $x := "0123456789" }}{{ range 30 }}{{ $x = print $x $x }}{{ end }}', "a string that doubles"),
    ],
)
def test_bounds(text: str, why: str) -> None:
    tree = parse(text)
    assert in_python(tree) is None, why
    assert natively(tree) is None, why


@pytest.mark.parametrize("text", ["{{ $x = $x }}", "{{ $x = 1 }}", "{{ if $x = 1 }}{{ $x.Name }}{{ end }}"])
def test_a_variable_that_is_not_declared_fails_when_it_is_executed(text: str) -> None:
    """Go reads such a template. Compiling the first one ended with StopIteration."""
    tree = parse(text)
    assert in_python(tree) is None
    with pytest.raises(NotNativeError, match="before it is declared"):
        natively(tree)


def test_a_template_that_calls_itself_ends() -> None:
    assert in_python(parse('{{ define "R" }}{{ template "R" }}{{ end }}{{ template "R" }}')) is None


def test_nesting_is_bounded() -> None:
    parse("{{ if 1 }}" * MAX_NESTING + "{{ end }}" * MAX_NESTING)
    for text in ("{{ if 1 }}" * 100000, "{{ " + "(" * 100000, "{{ if 1 }}{{ else if 1 }}" * 1000):
        with pytest.raises(TemplateError):
            parse(text)


# ------------------------------------------------------------------------------------------- native beside Python

OPERANDS = (
    ".Name", ".Zone", ".Type", ".Remote", ".Match", ".Group", ".Group.host", ".Group.nope", "$.Name", "$x", "$y",
    ".", "nil", "true", "false", "0", "1", "2", "-1", "300", '"web"', '""', '"10"', '"é"', ".Question.Qtype",
    "(len .Name)", ".Question.Name", "(index .Match 1)", "(index .Match 2)", "$.Match", ".Foo", "(slice .Name 1 4)",
    "10", "16",
)  # fmt: skip
FUNCTIONS = (
    "print", "println", "len", "not", "and", "or", "eq", "ne", "lt", "le", "gt", "ge", "index", "slice", "parseInt",
    'printf "%s"', 'printf "%v-%d"', 'printf "%05d|%-4x"', 'printf "%3s%v"', 'printf "%.2s"', 'printf "%b%o%X"',
)  # fmt: skip

operands = st.sampled_from(OPERANDS)
calls = st.builds(
    lambda name, given: " ".join((name, *given)), st.sampled_from(FUNCTIONS), st.lists(operands, max_size=4)
)
commands = st.one_of(operands, calls, calls.map(lambda text: f"({text})"))
pipelines = st.lists(commands, min_size=1, max_size=3).map(" | ".join)
actions = st.one_of(
    pipelines.map("{{{{ {} }}}}".format),
    pipelines.map("{{{{ $x = {} }}}}".format),
    st.sampled_from(("text", " 60 IN A ", "é", "{{- /* c */ -}}")),
)


def branches(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """if, with and range around others."""
    kinds = st.sampled_from(("if", "with", "range", "with $y :=", "range $i, $y :=", "if $y :="))
    otherwise = st.one_of(st.just(""), inner.map("{{{{ else }}}}{}".format))
    leave = st.sampled_from(("", "", "{{ if eq . 1 }}{{ break }}{{ end }}", "{{ continue }}"))
    return st.builds(
        lambda kind, pipe, body, rest, out: (
            f"{{{{ {kind} {pipe} }}}}{body}{out if kind.startswith('range') else ''}{rest}{{{{ end }}}}"
        ),
        kinds, pipelines, inner, otherwise, leave,
    )  # fmt: skip


bodies = st.recursive(
    actions, lambda inner: st.one_of(st.lists(inner, max_size=3).map("".join), branches(inner)), max_leaves=6
)
templates = bodies.map(lambda body: "{{ $x := .Name }}{{ $y := 1 }}" + body)


@settings(max_examples=100, deadline=None)
@given(templates)
def test_the_native_program_says_what_python_says(text: str) -> None:
    try:
        tree = parse(text)
    except TemplateError:
        # A constant behind a pipe symbol.
        return
    said = in_python(tree)
    with contextlib.suppress(NotNativeError):
        assert natively(tree) == said, text


# ------------------------------------------------------------------------------------------------------------ fuzz

PARTS = (
    "{{", "}}", "{{-", "-}}", " ", ".", "Name", ".Name", "$", "$x", ":=", "=", "|", "(", ")", '"', "`", "'", "a",
    "1", "0x", "if", "else", "end", "range", "with", "define", "template", "block", "break", "/*", "*/", ",", "\\",
    "\n", "é", "eq", "print", "index", "nil", "true", "-", "+", "1e9", "_", "\x00", "\udcff",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=30).map("".join))
def test_any_text_is_a_template_or_an_error(text: str) -> None:
    try:
        tree = parse(text)
    except TemplateError as error:
        assert str(error)
        return
    with contextlib.suppress(FailureError):
        assert len(execute(tree, DATA)) <= MAX_RR_TEXT_BYTES
    with contextlib.suppress(NotNativeError):
        natively(tree)
