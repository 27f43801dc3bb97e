"""The native step beside the one in Python: the same reply, to every question, of every template."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.plugins.template.metrics import families
from tests.plugins.template.both import SERVER, Both

pytestmark = pytest.mark.native

EVERYTHING = r"""
    template IN A one.example {
        match "^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)[.]" "^(?P<b>[0-9]+)[.](?P<a>[0-9]+)[.]"
        answer "{{ .Name }} 60 IN A 10.0.{{ .Group.a }}.{{ .Group.b }}"
        additional "{{ .Name }} 60 IN TXT {{ .Regex }}"
        fallthrough
    }
    template ANY TXT example {
        answer "{{ .Name }} TXT \"{{ .Zone }}\" \"{{ .Remote }}\" {{ .Question.Name }} {{ .Question.Qtype }}"
        authority "{{ .Zone }} 30 {{ .Class }} SOA ns.{{ .Zone }} h.{{ .Zone }} (1 2 3 4 5)"
        ederror 17 "a reason"
    }
    template IN ANY two.example {
        match "^alias(?P<n>[0-9])[.]"
        answer "{{ .Name }} 60 IN CNAME ip-1-{{ .Group.n }}.one.example."
        fallthrough two.example
    }
    template IN ANY cname.example {
        answer "{{ .Name }} 60 IN CNAME loop.cname.example."
    }
    template IN MX two.example {
        match "^(.)"
        answer "{{ .Name }} 60 IN MX 10 {{ index .Match 2 }}."
    }
    template IN SRV example {
        match "^(?P<port>[^.]+)[.]"
        answer "{{ .Name }} 60 IN SRV 1 2 {{ .Group.port }} {{ .Name }}"
    }
    template IN CAA example {
        rcode SERVFAIL
        answer "{{ .Name }} 60 IN CAA 0 issue a"
    }
    template IN PTR example {
        rcode BADKEY
        answer "{{ .Name }} 60 IN PTR a."
    }
    template IN NS example {
        rcode REFUSED
        answer "{{ .Name }} 60 IN NS a."
    }
    template IN HTTPS example {
        answer "{{ .Name }} 60 IN HTTPS 1 {{ .Name }} alpn={{ slice .Name 0 2 }} ipv4hint=192.0.2.{{ len .Name }}"
    }
    template IN LOC example {
        answer "{{ .Name }} 60 IN LOC 51 30 12.748 N 0 7 39.611 W 0.00m"
    }
"""


@pytest.mark.parametrize("edns", [False, True])
def test_both_say_the_same(edns: bool) -> None:
    both = Both(EVERYTHING)
    names = (
        "ip-1-2.one.example.", "1.2.one.example.", "ip-1-299.one.example.", "x.one.example.", "two.example.",
        "alias3.two.example.", "alias.two.example.", "x.example.", "example.", "other.", "80.example.",
        "a\\.b.example.", "loop.cname.example.", "a.cname.example.",
    )  # fmt: skip
    kinds = ("A", "AAAA", "TXT", "MX", "SRV", "CAA", "PTR", "NS", "HTTPS", "LOC", "ANY", "CNAME", "TYPE999")
    for name in names:
        for kind in kinds:
            both.check(name, kind, edns=edns)
    native, python = both.counted()
    # What aliases lead to is asked of the native one.
    assert all(native[key] >= count for key, count in python.items())
    assert set(python) == set(native)


def test_what_it_says() -> None:
    both = Both(EVERYTHING)
    reply = both.check("alias3.two.example.")
    assert [rrset.to_text() for rrset in reply.answer] == [
        "alias3.two.example. 60 IN CNAME ip-1-3.one.example.",
        "ip-1-3.one.example. 60 IN A 10.0.1.3",
    ]
    assert dns.rcode.to_text(both.check("x.example.", "PTR").rcode()) == "SERVFAIL"
    assert dns.rcode.to_text(both.check("x.example.", "PTR", edns=True).rcode()) == "BADKEY"
    assert both.check("x.example.", "TXT", edns=True).options[0].to_text() == "EDE 17 (Filtered): a reason"


def test_the_owner_is_spelt_as_it_was_asked() -> None:
    reply = Both('template IN A {\nanswer "{{ .Name }} 60 IN A 192.0.2.1"\n}').natively(
        dns.message.make_query("WwW.Example.", "A")
    )
    assert reply.answer[0].name.to_text() == "WwW.Example."


def test_counters() -> None:
    both = Both(EVERYTHING)
    for name, kind in (("ip-1-2.one.example.", "A"), ("ip-1-2.one.example.", "A"), ("ip-1-999.one.example.", "A"),
                       ("a.two.example.", "MX"), ("a.two.example.", "ANY"), ("no.", "A")):  # fmt: skip
        both.natively(dns.message.make_query(name, kind))
    said = {}
    for family in families(both.counters[0], {(SERVER, ".", ""): 0}):
        for sample in family.samples:
            said[sample.name, *sample.labels.values()] = sample.value
    place = (SERVER, "one.example.", "", "IN", "A")
    record = "{{.Name}} 60 IN A 10.0.{{.Group.a}}.{{.Group.b}}"
    assert said["coredns_template_matches_total", *place] == 3
    assert said["coredns_template_rr_failures_total", *place, "answer", record] == 1
    mail = (SERVER, "two.example.", "", "IN", "MX", "answer", "{{.Name}} 60 IN MX 10 {{index .Match 2}}.")
    assert said["coredns_template_template_failures_total", *mail] == 1
    assert not any(labels[2:3] == ("no.",) for labels in said)


# ----------------------------------------------------------------------------------------------------- properties

HOLES = (
    "{{ .Name }}", "{{ .Zone }}", "{{ index .Match 1 }}", "{{ .Group.n }}", "{{ .Group.nope }}",
    "{{ index .Match 3 }}", "{{ len .Name }}", "{{ .Type }}", "{{ .Class }}", "{{ .Remote }}",
    "{{ if .Group.n }}1{{ else }}2{{ end }}", "1", "10", "192.0.2.1", "a.example.", " ", " ",
    "{{ parseInt .Group.n 16 16 }}", "{{ printf `%03d` 7 }}", "{{- 7 -}}", ".", "\\\"",
    "{{ with .Group.n }}{{ . }}{{ end }}", "{{ range .Match }}{{ . }} {{ end }}", "(", ")", "{{ .Regex }}",
    "{{ .Nope }}",
)  # fmt: skip
KINDS = (
    "A",
    "AAAA",
    "CNAME",
    "TXT",
    "MX",
    "SRV",
    "SOA",
    "CAA",
    "HTTPS",
    "NS",
    "PTR",
    "HINFO",
    "{{ .Type }}",
    "SSHFP",
)
rdata = st.lists(st.sampled_from(HOLES), max_size=6).map("".join)
records = st.builds(
    lambda owner, ttl, rrclass, kind, data: f"{owner} {ttl}{rrclass}{kind} {data}",
    st.sampled_from(
        ("{{ .Name }}", "{{.Name}}", "a.example.", "{{ index .Match 1 }}.example", "x.{{ .Zone }}", "", "a")
    ),
    st.sampled_from(("60 ", "1h ", "", "{{ len .Name }} ", "x ")),
    st.sampled_from(("IN ", "", "{{ .Class }} ", "CH ")),
    st.sampled_from(KINDS),
    rdata,
)
lines = st.tuples(st.sampled_from(("answer", "authority", "additional")), records).map(
    lambda pair: f'{pair[0]} "{pair[1]}"'
)
blocks = st.builds(
    lambda kind, zone, match, lines, rest: "\n".join((f"template IN {kind} {zone} {{", match, *lines, rest, "}")),
    st.sampled_from(("A", "ANY", "TXT")),
    st.sampled_from(("", ".", "example", "a.example")),
    st.sampled_from(("", 'match "^(?P<n>[a-f0-9]+)([.]|-)"', 'match "(x)?(?P<n>a)" "(b)(.)(c)?"')),
    st.lists(lines, max_size=3),
    st.sampled_from(("", "fallthrough", "fallthrough a.example", "rcode NXDOMAIN", "ederror 4")),
)
names = st.sampled_from(
    ("a.example.", "1f.example.", "x.a.example.", "b-1.example.", ".", "other.", "abc.", "a\\@b.example.")
)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(blocks, min_size=1, max_size=3),
    st.lists(st.tuples(names, st.sampled_from(("A", "TXT", "ANY"))), min_size=1, max_size=3),
)
def test_any_templates_say_the_same(blocks: list[str], questions: list[tuple[str, str]]) -> None:
    both = Both("\n".join(blocks))
    for name, kind in questions:
        both.check(name, kind, edns=True)
    native, python = both.counted()
    assert python.keys() <= native.keys()
