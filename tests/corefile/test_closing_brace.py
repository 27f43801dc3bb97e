"""A closing brace on the line of an option: what CoreDNS 1.14.7 takes, and what it refuses, as it said of each."""

from __future__ import annotations

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError

# ";" ends a line. CoreDNS hands the brace to options that read all that is left of their line. So it depends on the
# option, and on how many arguments it has, whether the brace is one argument too many.
TAKEN = [
    ". {;forward . 192.0.2.1 { policy sequential };}",
    ". {;forward . 192.0.2.1 { policy sequential;};}",
    ". {;forward . 192.0.2.1 {;policy sequential };}",
    ". {;forward . 192.0.2.1 { except a.test b.test };}",
    ". {;forward . 192.0.2.1 { expire 10s };}",
    ". {;forward . 192.0.2.1 { max_concurrent 5 };}",
    ". {;forward . 192.0.2.1 { max_fails 3 };}",
    ". {;forward . 192.0.2.1 { tls_servername x.test };}",
    ". {;forward . 192.0.2.1 { };}",
    ". {;forward . 192.0.2.1 { max_idle_conns 5 };}",
    ". {;forward . 192.0.2.1 { read_timeout 5s };}",
    ". {;cache 30 { disable success cluster.local };}",
    ". {;cache 30 {;disable success cluster.local };}",
    ". {;cache 30 { disable success };}",
    ". {;cache 30 { denial 100 30 5 };}",
    ". {;errors { stacktrace };}",
    ". {;errors { };}",
    ". {;errors {;};;}",
    ". {;kubernetes cluster.local { endpoint http://127.0.0.1:1 };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;ttl 30 };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;fallthrough };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;fallthrough cluster.local };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;namespaces a b };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;ignore empty_service };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;startup_timeout 1s };}",
    '. {;forward . 192.0.2.1 {;policy sequential "}";}',
]
REFUSED = [
    ". {;forward . 192.0.2.1 { force_tcp };}",
    ". {;forward . 192.0.2.1 { force_tcp prefer_udp };}",
    ". {;forward . 192.0.2.1 { policy sequential force_tcp };}",
    ". {;forward . 192.0.2.1 { health_check 1s };}",
    ". {;forward . 192.0.2.1 { health_check 1s no_rec };}",
    ". {;forward . 192.0.2.1 { failover SERVFAIL };}",
    ". {;forward . 192.0.2.1 { next NXDOMAIN };}",
    ". {;forward . 192.0.2.1 { failfast_all_unhealthy_upstreams };}",
    ". {;cache 30 { success 100 };}",
    ". {;cache 30 { success 100 30 };}",
    ". {;cache 30 { prefetch 10 };}",
    ". {;cache 30 { prefetch 10 1m 10% };}",
    ". {;cache 30 { serve_stale };}",
    ". {;cache 30 { serve_stale 1h };}",
    ". {;cache 30 { servfail 5s };}",
    ". {;cache 30 { keepttl };}",
    ". {;cache { success 100 denial 100 };}",
    '. {;errors { consolidate 5m ".*" };}',
    '. {;errors { consolidate 5m ".*" warning };}',
    ". {;health { lameduck 5s };}",
    ". {;health :8080 { lameduck 5s };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;pods insecure };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;labels a=b };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;namespace_labels a=b };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;noendpoints };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;endpoint_pod_names };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;multicluster cluster.local };}",
    ". {;kubernetes cluster.local {;endpoint http://127.0.0.1:1;apiserver_qps 1 };}",
    ". {;log { class error };}",
    ". {;log . { class error denial };}",
    ". {;loadbalance round_robin { prefer 10.0.0.0/8 };}",
    ". {;loadbalance weighted /x { reload 1m };}",
    ". {;timeouts { read 5s };}",
    ". {;timeouts {;read 5s;idle 5s };}",
    ". {;timeouts { maxtcpqueries 5 };}",
    ". {;bind 127.0.0.1 { except 127.0.0.2 };}",
    ". {;prometheus 127.0.0.1:9153 { runtime_metrics };}",
    ". {;ready 127.0.0.1:8181 { monitor continuously };}",
    ". {;multisocket 2 };}",
    ". {;reload 30s };}",
    ". {;whoami };}",
    ". {;bufsize 1232 };}",
    ". {;debug };}",
    ". {;loop };}",
    ". {;errors };}",
    ". {;cache 30 };}",
    ". {;whoami }",
    ". { whoami }",
    ". {;forward . 192.0.2.1 { policy sequential } errors;}",
    ". {;forward . 192.0.2.1 { policy sequential } }",
    ". {;forward . 192.0.2.1 {;policy sequential } }",
    ". {;forward . 192.0.2.1 {;policy sequential};}",
]
assert not set(TAKEN) & set(REFUSED)


@pytest.mark.parametrize("text", TAKEN)
def test_taken(text: str) -> None:
    load(text.replace(";", "\n"))


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(CorefileError, match=r"Corefile:[0-9]+ - "):
        load(text.replace(";", "\n"))


def test_the_brace_is_no_argument() -> None:
    """CoreDNS takes it for one more zone, in vain."""
    (block,) = load(". {\ncache 30 {\ndisable success cluster.local }\n}\n").blocks
    with_line_of_its_own = load(". {\ncache 30 {\ndisable success cluster.local\n}\n}\n").blocks[0]
    assert block.plugins["cache"] == with_line_of_its_own.plugins["cache"]
