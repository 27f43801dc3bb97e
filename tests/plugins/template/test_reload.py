"""A reload puts other templates in the place of those that serve, and counts on; a bad one changes nothing."""

from __future__ import annotations

from pathlib import Path

from tests.support import Server, wait_until

COREFILE = """\
example:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    view inside {
        expr true
    }
    metadata
    template IN TXT {
        match ^(?P<host>[a-z]+)[.]
        var host group('host')
        answer "{{ .Name }} 60 IN TXT ANSWER"
    }
}
"""
NATIVE = COREFILE.replace("ANSWER", r"\"{{ .Var.host }} {{ .Meta `view/name` }}\"")
PYTHON = COREFILE.replace("ANSWER", r"\"{{ html .Var.host }} {{ .Meta `view/name` }} in Python\"")
BAD = NATIVE.replace("group('host')", "group('host') + 1")
MATCHES = "coredns_template_matches_total"


def test_reload(tmp_path: Path) -> None:
    with Server(tmp_path, NATIVE, workers=1) as server:
        assert server.addresses("a.example.", "TXT") == ['"a inside"']
        server.write_corefile(PYTHON)
        server.reload()
        assert server.addresses("a.example.", "TXT") == ['"a inside in Python"']
        server.write_corefile(BAD)
        server.send_signal(10)
        server.wait_for_log(
            "could not compile expression: host: invalid operation: + (mismatched types string and int)"
        )
        assert server.addresses("a.example.", "TXT") == ['"a inside in Python"']
        server.write_corefile(NATIVE)
        server.reload(2)
        assert server.addresses("a.example.", "TXT") == ['"a inside"']
        wait_until(lambda: server.total(MATCHES, zone="example.", view="inside") == 4, 10, "the matches")
