"""Plugins that others need have parts in the supervisor, and say nothing of themselves."""

from __future__ import annotations

from pathlib import Path

from tests.support import Server, http_get

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    ready 127.0.0.1:READY_PORT
    prometheus 127.0.0.1:METRICS_PORT
    loop
    whoami
}
"""


def test_only_what_a_corefile_names_tells_metrics(tmp_path: Path) -> None:
    with Server(tmp_path, COREFILE, workers=1) as server:
        assert http_get(server.ports["READY_PORT"], "/health") == (200, "OK"), "ready serves it, too"
        status, told = http_get(server.ports["METRICS_PORT"], "/metrics")
    assert status == 200
    assert "coredns_dns_request" in told
    assert "coredns_health_" not in told
    assert "coredns_forward_" not in told
