"""The options of template: what is an error, with file and line, and what is said of it by check."""

from __future__ import annotations

import pytest

from fastdns.check import check
from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.template.config import Config


def config(options: str) -> Config:
    found = load(f". {{\n{options}\n}}", "Corefile", environ={"ADDRESS": "192.0.2.9"}).blocks[0].plugins["template"]
    assert isinstance(found, Config)
    return found


@pytest.mark.parametrize(
    ("options", "line", "message"),
    [
        ("template", 2, "expected a class"),
        ("template X", 2, "invalid query class 'X'"),
        ("template in A", 2, "invalid query class 'in'"),
        ("template ANY", 2, "expected a type"),
        ("template ANY X", 2, "invalid RR type 'X'"),
        ("template ANY TYPE65", 2, "invalid RR type 'TYPE65'"),
        ("template ANY ANY {\nnope\n}", 3, "unknown option 'nope'"),
        ("template ANY ANY {\nmatch\n}", 3, "at least one regular expression"),
        ("template ANY ANY {\nmatch (a\n}", 3, "could not parse regex: (a"),
        (f"template ANY ANY {{\nmatch {'a' * 10001}\n}}", 3, "regex pattern too long"),
        ("template ANY ANY {\nanswer\n}", 3, "at least one resource record"),
        ("template ANY ANY {\nadditional\n}", 3, "at least one resource record"),
        ("template ANY ANY {\nauthority\n}", 3, "at least one resource record"),
        ('template ANY ANY {\nanswer "{{"\n}', 3, "could not compile template: {{: unclosed action"),
        ('template ANY ANY {\nadditional "{{"\n}', 3, "unclosed action"),
        ('template ANY ANY {\nauthority "{{"\n}', 3, "unclosed action"),
        ("template ANY ANY {\nanswer {{ .Name }} 60 IN A 192.0.2.1\n}", 3, "unclosed action"),
        ('template ANY ANY {\nanswer "{{ notAFunction }}"\n}', 3, 'function "notAFunction" not defined'),
        ('template ANY ANY {\nanswer "{{ .Meta .Name }}"\n}', 3, "expected a constant name"),
        ('template ANY ANY {\nanswer "{{ 1i }}"\n}', 3, "complex numbers"),
        ("template ANY ANY {\nrcode\n}", 3, "one argument"),
        ("template ANY ANY {\nrcode UNDEFINED\n}", 3, "unknown rcode 'UNDEFINED'"),
        ("template ANY ANY {\nrcode nxdomain\n}", 3, "unknown rcode"),
        ("template ANY ANY {\nrcode NXDOMAIN REFUSED\n}", 3, "one argument"),
        ("template ANY ANY {\nederror\n}", 3, "the code of an extended DNS error"),
        ("template ANY ANY {\nederror invalid a\n}", 3, "expected a number from 0 to 65535"),
        ("template ANY ANY {\nederror 65536\n}", 3, "expected a number from 0 to 65535"),
        ("template ANY ANY {\nederror 1 a b\n}", 3, "the code of an extended DNS error"),
        (f"template ANY ANY {{\nederror 1 {'a' * 481}\n}}", 3, "at most 480 bytes"),
        ("template IN A {\n" + "answer x\n" * 257 + "}", 260, "at most 256 records"),
        ("template IN A {\n" + "match x\n" * 257 + "}", 260, "at most 256 patterns"),
    ],
)  # fmt: skip
def test_errors(options: str, line: int, message: str) -> None:
    with pytest.raises(CorefileError) as raised:
        config(options)
    assert message in str(raised.value)
    assert str(raised.value).startswith(f"plugin/template: Corefile:{line} - Error during parsing: ")


@pytest.mark.parametrize(
    "options",
    [
        "template ANY ANY",
        "template ANY ANY {\n}",
        "template ANY ANY {\nrcode NXDOMAIN }",
        "template ANY ANY {\nfallthrough }",
        'template ANY ANY {\nanswer "{{ parseInt }}"\n}',
        "template IN A {\nrcode NOTIMPL\n}",
        'template IN A example.com {\nanswer "{{ .Grup.d }}"\n}',
        "template IN A {\nederror 65535\n}",
    ],
)
def test_what_coredns_takes(options: str) -> None:
    assert len(config(options).templates) == 1


def test_everything() -> None:
    (one, two) = config(
        """
        template IN A example.org 10.0.0.0/8 {
            match a b
            match c
            answer "a 60 IN A {$ADDRESS}" "b 60 IN TXT \\"{{ .Name }}\\""
            authority "c 60 IN NS d"
            additional "d 60 IN A 192.0.2.1"
            rcode NXDOMAIN
            rcode REFUSED
            ederror 15 blocked
            fallthrough example.org
        }
        template ANY ANY {
            fallthrough
        }
        """
    ).templates
    assert (one.qclass, one.qtype, one.zones, one.rcode) == (1, 1, ("example.org.", "10.in-addr.arpa."), 5)
    assert [pattern.text for pattern in one.patterns] == ["a", "b", "c"]
    assert [(record.section, record.text) for record in one.records] == [
        ("answer", "a 60 IN A 192.0.2.9"), ("answer", 'b 60 IN TXT "{{.Name}}"'), ("authority", "c 60 IN NS d"),
        ("additional", "d 60 IN A 192.0.2.1"),
    ]  # fmt: skip
    assert (one.ede, one.fallthrough) == ((15, "blocked"), ("example.org.",))
    assert (two.qclass, two.qtype, two.zones, two.patterns, two.fallthrough) == (255, 255, (".",), (), (".",))


def test_upstream_is_read_and_said_to_do_nothing() -> None:
    found = load(". {\ntemplate IN A {\nupstream 192.0.2.1\n}\n}", "Corefile", environ={})
    assert found.warnings == ("plugin/template: Corefile:3 - upstream does nothing, as in CoreDNS; remove it",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ .Name }} 60 IN A 192.0.2.1", ""),
        ("{{ .Name }} 60 IN A {{ index .Match 1 }}", ""),
        ("{{ if eq .Type `A` }}{{ .Name }} 60 IN A 192.0.2.1{{ else }}{{ .Name }} IN TXT a{{ end }}", ""),
        ("{{ .Name }} 60 IN LOC 51 30 12 N 0 7 39 W 0m", ""),
        ("{{ .Name }} 60 IN LOC {{ .Group.a }}", "a record of type LOC that is not constant"),
        ("{{ .Name }} 60 IN TXT {{ html .Name }}", "the function html"),
        ("{{ .Name }} 60 IN TXT {{ .Message.Id }}", ".Message.Id"),
        ("{{ .Name }} 60 IN TXT {{ printf `%q` .Name }}", "the format %q"),
    ],
)
def test_what_runs_in_python_is_said(text: str, why: str) -> None:
    corefile = f'. {{\ntemplate IN ANY {{\nanswer "{text}"\n}}\n}}'
    report = check(lambda mistakes: load(corefile, "Corefile", environ={}, mistakes=mistakes))
    assert report.right
    expected = [
        "plugin/template: Corefile:3 - runs in Python, slower, with all templates of its block: there is no "
        f"native code for {why}"
    ]
    assert report.warnings == (expected if why else [])
