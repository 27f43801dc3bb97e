"""Which block takes a query: beside CoreDNS, with the client, the question and values as criteria."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from tests.plugins.beside import Both, Case, ids
from tests.plugins.metadata.test_metadata import shown
from tests.support import Server

# Each block answers with an address of its own, by the upstream that it asks. Blocks 2 to 7 have a view.
VIEWS = {
    2: ["incidr(client_ip(), '127.0.0.2/32')"],
    3: ["type() in ['MX', 'TXT']", "name() matches '^[a-m]'"],
    4: ["proto() == 'tcp' && port() != '0' && server_port() == 'DNS_PORT'"],
    5: ["name() endsWith '.five.example.org.' or name() == 'five.example.org.'", "bufsize() >= 512"],
    6: ["\"any(split(name(), '.'), # == 'six') ? true : false\""],
    7: ["split(name(), '.')[7] == 'g' or split(name(), '.')[6] == 'g'"],
    8: ["name() startsWith '8'", "1 / 0 > 1", "metadata('view/name') == 'v8'"],
    9: ["name() startsWith '9'", "let n = len(name()); n in 10..16 and n > 5"],
}
BLOCK = """\
example.org:DNS_PORT {
    bind 127.0.0.1
    view vNUMBER {
EXPRESSIONS
    }
    forward . 127.0.0.NUMBER:DNS_PORT
}
"""
REST = """\
example.org:DNS_PORT {
    bind 127.0.0.1
    forward . 127.0.0.10:DNS_PORT
}
"""
UPSTREAM = """\
.:DNS_PORT {
    bind 127.0.0.NUMBER
    ANSWER
}
"""


def corefile() -> str:
    """The blocks, and no upstream: an upstream that is not there is a name for the block that asked it."""
    blocks = [
        BLOCK.replace("EXPRESSIONS", "\n".join(f"        expr {text}" for text in expressions))
        .replace("NUMBER", str(number))
        for number, expressions in VIEWS.items()
    ]
    return "".join(blocks) + REST


def taken(name: str, number: int, kind: str = "A", **how: object) -> Case:
    """A question that a block answers."""
    return Case(name, kind, additional=None, flags=None, why=f"block {number}", **how)  # type: ignore[arg-type]


CASES = [
    (taken("z.example.org.", 2, client="127.0.0.2"), 2),
    (taken("a.example.org.", 2, "MX", client="127.0.0.2"), 2),
    (taken("b.example.org.", 3, "MX"), 3),
    (taken("A.Example.ORG.", 3, "TXT"), 3),
    (taken("z.example.org.", 10, "MX"), 10),
    (taken("z.example.org.", 4, "MX", tcp=True), 4),
    (taken("x.five.example.org.", 5), 5),
    (taken("five.example.org.", 5), 5),
    (taken("xfive.example.org.", 10), 10),
    (taken("x.six.example.org.", 6), 6),
    # Of a name with fewer parts the expression fails.
    (taken("x.a.b.c.d.e.f.g.example.org.", 7), 7),
    (taken("x.b.c.d.example.org.", 10), 10),
    (taken("8.example.org.", 8), 8),
    (taken("9.example.org.", 9), 9),
    (taken("9.a.very.long.name.example.org.", 10), 10),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("view")
    upstreams = "".join(UPSTREAM.replace("NUMBER", str(n)).replace("ANSWER", "whoami") for n in range(2, 11))
    text = corefile() + upstreams
    # Both report the upstream that they have asked as a value.
    shows = 'log . "<{name} {type} {proto} {/forward/upstream}>"'
    text = text.replace("    forward", f"    metadata\n    {shows}\n    forward")
    with Both(folder, text) as both:
        yield both


@pytest.mark.parametrize(("case", "number"), CASES, ids=[ids(case) for case, _ in CASES])
def test_the_block_that_takes_a_query(both: Both, case: Case, number: int) -> None:
    both.check(case)
    for server in [both.fastdns] if both.coredns is None else [both.fastdns, both.coredns]:
        key = f"{case.qname.lower()} {case.qtype} {'tcp' if case.tcp else 'udp'}"
        assert shown(server.output, key) == f"127.0.0.{number}:{server.port}", server


def test_the_name_of_the_view_is_a_value(tmp_path: Path) -> None:
    text = (
        ".:DNS_PORT {\nview lan {\nexpr client_ip() == '127.0.0.1'\n}\nmetadata\n"
        'log . "<{name} {/view/name}>"\nprometheus 127.0.0.1:METRICS_PORT\nwhoami\n}\n'
    )
    with Server(tmp_path, text) as server:
        server.query("a.")
        assert shown(server.output, "a.") == "lan"
        assert server.total("coredns_dns_requests_total", view="lan") == 1
        # A reload with an expression that is no longer true.
        server.write_corefile(text.replace("127.0.0.1'", "127.0.0.9'"))
        server.reload()
        assert server.query("a.").rcode().name == "REFUSED"
        server.write_corefile(text.replace("client_ip()", "client()"))
        server.send_signal(10)
        server.wait_for_log("unknown name client")
        assert server.query("a.").rcode().name == "REFUSED"


def block(*lines: str) -> str:
    return "org {\n" + "\n".join(lines) + "\nwhoami\n}\n"


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["view"], "Corefile:2 .*one argument"),
        (["view a b"], "Corefile:2 .*one argument"),
        (["view a", "view b"], "Corefile:3 .*only once"),
        (["view a {", "when true", "}"], "Corefile:3 .*unknown option 'when'"),
        (["view a {", "expr", "}"], "Corefile:3 .*unexpected end of expression, at character 1"),
        (["view a {", "expr true", "expr port() == 53", "}"], "Corefile:4 .*mismatched types string and int"),
        (["view a {", "expr now() == 1", "}"], "Corefile:3 .*the function now is not supported"),
    ],
)
def test_errors(lines: list[str], error: str) -> None:
    with pytest.raises(CorefileError, match=error):
        load(block(*lines), environ={})


def test_warnings() -> None:
    value = "expr metadata('a/b') == 'c'"
    assert "the block has no metadata" in load(block("view a {", value, "}"), environ={}).warnings[0]
    assert not load(block("metadata", "view a {", value, "}"), environ={}).warnings
    network = "expr incidr(client_ip(), 'x')"
    assert "incidr is never true" in load(block("view a {", network, "}"), environ={}).warnings[0]


def test_a_view_without_expressions_takes_every_query() -> None:
    assert load(block("view a"), environ={}).blocks[0].view == "a"
