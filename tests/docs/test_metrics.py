"""docs/reference/metrics.md lists every family that a server exports, with its type and labels."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fastdns.plugins.kubernetes.metrics import MEASURES
from tests.certificates import write_certificate
from tests.docs.fences import ROOT
from tests.plugins.python.support import install, path_to
from tests.support import MANIFESTS, WEB, Server
from tests.transports.http_clients import has_nghttp2

PAGE = (ROOT / "docs/reference/metrics.md").read_text()
ROWS = {
    name: (kind, tuple(labels.split(", ")) if labels else ())
    for name, kind, labels in re.findall(r"^\| `([a-z0-9_]+)` \| (\w+) \| ([\w, ]*?) *\|", PAGE, re.MULTILINE)
}
# Every plugin that has metrics; the upstream is not there.
COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    errors
    log
    dnstap listen tap.sock
    trace 127.0.0.1:OTHER_PORT
    health 127.0.0.1:HEALTH_PORT
    kubernetes cluster.local {
        manifests "MANIFESTS"
    }
    prometheus 127.0.0.1:METRICS_PORT {
        runtime_metrics
    }
    forward . 127.0.0.1:OTHER_PORT
    cache 30
    inner 5
    loop
}
grpc.test:DNS_PORT {
    bind 127.0.0.1
    grpc . 127.0.0.1:OTHER_PORT
}
tls://.:READY_PORT {
    bind 127.0.0.1
    tls cert.pem key.pem
    whoami
}
QUICzone.test:DNS_PORT {
    bind 127.0.0.1
    file missing.db
    auto {
        directory missing
    }
    secondary given.test {
        transfer from 127.0.0.1:OTHER_PORT
    }
    transfer {
        to 127.0.0.9
    }
}
"""
HTTPS = """https://.:READY_PORT {
    bind 127.0.0.3
    whoami
}
"""
# The authority is not there.
ACME = """tls://.:READY_PORT {
    bind 127.0.0.2
    tls {
        acme dns.example
        ca http://127.0.0.1:OTHER_PORT/directory
        storage acme
    }
    whoami
}
"""
if find_spec("acme") is None:
    ROWS = {name: row for name, row in ROWS.items() if "_acme_" not in name}
else:
    COREFILE += ACME
if has_nghttp2():
    COREFILE += HTTPS
else:
    ROWS = {name: row for name, row in ROWS.items() if "_https_" not in name}


QUIC = """\
quic://.:READY_PORT https3://.:DNS_PORT {
    bind 127.0.0.2
    tls cert.pem key.pem
    prometheus 127.0.0.1:METRICS_PORT {
        runtime_metrics
    }
    whoami
}
"""
if find_spec("qh3") is not None:
    COREFILE = COREFILE.replace("QUIC", QUIC)
else:
    # Without the package there is no such listener.
    COREFILE = COREFILE.replace("QUIC", "")
    for scheme in ("quic", "https3"):
        del ROWS[f"coredns_dns_{scheme}_responses_total"]


Shape = tuple[str, tuple[str, ...]]


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What /metrics of a server says."""
    # A plugin of another package, whose step is in Python.
    environ = path_to(install(tmp_path_factory.mktemp("packages")))
    folder = tmp_path_factory.mktemp("server")
    write_certificate(folder)
    with Server(folder, COREFILE, manifests=MANIFESTS, workers=1, environ=environ) as server:
        server.query(WEB)
        server.query(WEB, tcp=True)
        server.query("example.org.")
        server.query("www.grpc.test.")
        server.reload()
        return server.http("/metrics")[1]


@pytest.fixture(scope="module")
def exported(body: str) -> dict[str, Shape]:
    """The type of each family, and its labels; none where it has no samples."""
    found = {}
    for family in text_string_to_metric_families(body):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {tuple(label for label in sample.labels if label != "le") for sample in family.samples}
        assert len(labels) <= 1, family.name
        # Of an API server this server has no samples.
        known = MEASURES[name].labels if name in MEASURES else ()
        found[name] = family.type, labels.pop() if labels else tuple(known)
    return found


def test_the_page_lists_every_family(exported: dict[str, Shape]) -> None:
    assert exported.keys() == ROWS.keys()


def test_the_page_gives_types_and_labels(exported: dict[str, Shape]) -> None:
    wrong = {
        name: (row, exported[name])
        for name, row in ROWS.items()
        if row[0] != exported[name][0] or (exported[name][1] and set(row[1]) != set(exported[name][1]))
    }
    assert wrong == {}


def test_the_page_gives_the_reasons_for_closing_connections(body: str) -> None:
    shown = set(re.findall(r'^fastdns_tcp_connections_closed_total\{reason="(\w+)"\}', body, re.MULTILINE))
    listed = re.findall(r"^\| `(\w+)` \| ", PAGE[PAGE.index("| reason | the connection") :], re.MULTILINE)
    assert set(listed[: len(shown)]) == shown
    assert len(shown) >= 8
