"""Every option of every plugin: what it becomes, and what it refuses, with the place of the mistake."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.corefile import load
from fastdns.corefile.options import parse_duration_s
from fastdns.errors import CorefileError
from fastdns.plugins.errors.config import Consolidation
from fastdns.regex import Regex


@dataclass(frozen=True)
class Case:
    """Directives of a block, by ``;`` instead of newlines, and the fields they set."""

    text: str
    fields: dict[str, Any]
    why: str
    zones: str = "."


@dataclass(frozen=True)
class Bad:
    """line: counted from 2, where the first directive stands."""

    text: str
    message: str
    why: str
    line: int = 2
    zones: str = "."


def block(zones: str, text: str) -> str:
    return f"{zones} {{\n" + text.replace(";", "\n") + "\n}\n"


def good(case: Case, name: str) -> None:
    config = load(block(case.zones, case.text), environ={}).blocks[0].plugins[name]
    assert {key: getattr(config, key) for key in case.fields} == case.fields
    with pytest.raises((AttributeError, TypeError)):
        config.anything = 1


def bad(case: Bad, name: str) -> None:
    with pytest.raises(CorefileError) as caught:
        load(block(case.zones, case.text), environ={})
    assert case.message in caught.value.message
    assert str(caught.value).startswith(f"plugin/{name}: Corefile:{case.line} - Error during parsing: ")


GOOD: dict[str, list[Case]] = {
    "root": [
        Case("root /", {"path": "/"}, why="a directory"),
        Case("root /a;root /", {"path": "/"}, why="the last one counts"),
        Case("root .", {"path": "."}, why="relative"),
    ],
    "debug": [
        Case("debug", {}, why="alone"),
        Case("debug;debug", {}, why="repeated"),
    ],
    "whoami": [
        Case("whoami", {}, why="alone"),
        Case("whoami;whoami", {}, why="repeated"),
    ],
    "timeouts": [
        Case(
            "timeouts {;read 1s;write 1m;idle 24h;maxtcpqueries 7;}",
            {"read_s": 1.0, "write_s": 60.0, "idle_s": 86400.0, "max_tcp_queries": 7},
            why="all options",
        ),
        Case(
            "timeouts {;read 30;}",
            {"read_s": 30.0, "write_s": None, "idle_s": None, "max_tcp_queries": None},
            why="a bare number counts seconds",
        ),
        Case("timeouts {;maxtcpqueries -1;}", {"max_tcp_queries": -1}, why="no bound"),
        Case("timeouts {;read 1s;};timeouts {;idle 2s;}", {"read_s": 1.0, "idle_s": 2.0}, why="merged"),
        Case("timeouts {;read 1s;read 1.5s;}", {"read_s": 1.5}, why="the last one counts"),
    ],
    "multisocket": [
        Case("multisocket", {"sockets": None}, why="as many as CPUs"),
        Case("multisocket 1", {"sockets": 1}, why="one"),
        Case("multisocket 1024", {"sockets": 1024}, why="the most"),
    ],
    "reload": [
        Case("reload", {"interval_s": 30.0, "jitter_s": 15.0}, why="defaults"),
        Case("reload 10s", {"interval_s": 10.0, "jitter_s": 5.0}, why="the jitter is at most half"),
        Case("reload 2s 0", {"interval_s": 2.0, "jitter_s": 0.0}, why="no jitter"),
        Case("reload 1m 0s", {"interval_s": 60.0, "jitter_s": 0.0}, why="no jitter, with a unit"),
        Case("reload 1m 1s", {"interval_s": 60.0, "jitter_s": 1.0}, why="the least jitter"),
        Case("reload 10s;reload 20s", {"interval_s": 10.0}, why="the first one counts"),
    ],
    "bufsize": [
        Case("bufsize", {"max_udp_bytes": 1232}, why="default"),
        Case("bufsize 512", {"max_udp_bytes": 512}, why="the least"),
        Case("bufsize 4096", {"max_udp_bytes": 4096}, why="the most"),
        Case("bufsize 512;bufsize 600", {"max_udp_bytes": 512}, why="the first one counts"),
    ],
    "bind": [
        Case("bind 127.0.0.1", {"addresses": ("127.0.0.1",)}, why="an address"),
        Case("bind 127.0.0.1 ::1", {"addresses": ("127.0.0.1", "::1")}, why="both families"),
        Case("bind 127.0.0.1;bind ::1", {"addresses": ("127.0.0.1", "::1")}, why="several add up"),
        Case("bind 0:0:0:0:0:0:0:1", {"addresses": ("::1",)}, why="normalized"),
        Case(
            "bind 127.0.0.1 127.0.0.2 {;except 127.0.0.1;}", {"addresses": ("127.0.0.2",)}, why="an exception"
        ),
        Case(
            "bind 127.0.0.1 {;except 127.0.0.2;};bind 127.0.0.2",
            {"addresses": ("127.0.0.1", "127.0.0.2")},
            why="an exception is of its own occurrence",
        ),
    ],
    "ready": [
        Case("ready", {"host": "", "port": 8181, "monitor": "until-ready"}, why="defaults"),
        Case("ready :8080", {"host": "", "port": 8080}, why="a port"),
        Case("ready localhost:1", {"host": "localhost", "port": 1}, why="a host"),
        Case("ready [::1]:2", {"host": "::1", "port": 2}, why="an IPv6 address"),
        Case("ready 127.0.0.1:0", {"host": "127.0.0.1", "port": 0}, why="any port"),
        Case("ready {;monitor continuously;}", {"monitor": "continuously"}, why="continuously"),
        Case("ready {;monitor until-ready;}", {"monitor": "until-ready"}, why="until ready"),
    ],
    "health": [
        Case("health", {"host": "", "port": 8080, "lameduck_s": 0.0}, why="defaults"),
        Case("health :8091", {"port": 8091}, why="a port"),
        Case("health {;lameduck 5s;}", {"port": 8080, "lameduck_s": 5.0}, why="lameduck"),
        Case("health {;lameduck 0;}", {"lameduck_s": 0.0}, why="no lameduck"),
        Case("health {;}", {"lameduck_s": 0.0}, why="an empty block"),
        Case(
            "health :1 {;lameduck 1s;};health {;lameduck 2s;}", {"port": 1, "lameduck_s": 2.0}, why="merged"
        ),
    ],
    "prometheus": [
        Case(
            "prometheus",
            {"host": "localhost", "port": 9153, "runtime_metrics": False, "tls_config_file": None},
            why="defaults",
        ),
        Case("prometheus :9153", {"host": "", "port": 9153}, why="every address"),
        Case("prometheus {;runtime_metrics;}", {"runtime_metrics": True}, why="runtime metrics"),
        Case("prometheus {;tls web.yml;}", {"tls_config_file": "web.yml"}, why="TLS"),
        Case("prometheus {;tls web.yml;};root /", {"tls_config_file": "/web.yml"}, why="TLS below the root"),
        Case("root /;prometheus {;tls /a/web.yml;}", {"tls_config_file": "/a/web.yml"}, why="TLS, absolute"),
    ],
    "errors": [
        Case("errors", {"stacktrace": False, "consolidations": ()}, why="defaults"),
        Case("errors stdout", {"stacktrace": False}, why="stdout"),
        Case("errors {;stacktrace;}", {"stacktrace": True}, why="stack traces"),
        Case(
            'errors {;consolidate 5m "a b$" warning show_first;consolidate 1s x;consolidate 1s y show_first;}',
            {
                "consolidations": (
                    Consolidation(300.0, Regex("a b$"), "warning", True),
                    Consolidation(1.0, Regex("x"), "error", False),
                    Consolidation(1.0, Regex("y"), "error", True),
                )
            },
            why="consolidations",
        ),
        *(
            Case(
                f"errors {{;consolidate 1s x {level};}}",
                {"consolidations": (Consolidation(1.0, Regex("x"), level),)},
                why=f"level {level}",
            )
            for level in ("warning", "error", "info", "debug")
        ),
    ],
    "loadbalance": [
        Case(
            "loadbalance",
            {"policy": "round_robin", "networks": (), "weight_file": None, "reload_s": 30.0},
            why="defaults",
        ),
        Case("loadbalance round_robin", {"policy": "round_robin"}, why="by name"),
        Case(
            "loadbalance {;prefer 10.1.2.3/8 2001:db8::/32;}",
            {
                "policy": "prefer",
                "networks": (
                    (bytes([10, 0, 0, 0]), 8),
                    (socket.inet_pton(socket.AF_INET6, "2001:db8::"), 32),
                ),
            },
            why="preferred networks",
        ),
        Case(
            "loadbalance round_robin {;prefer 10.0.0.0/8;prefer 0.0.0.0/0;}",
            {"policy": "prefer", "networks": ((bytes([10, 0, 0, 0]), 8), (bytes(4), 0))},
            why="preferred networks add up",
        ),
        Case("loadbalance {;prefer;}", {"policy": "round_robin", "networks": ()}, why="prefer nothing"),
        Case(
            "loadbalance {;prefer 10.0.0.0/8;};loadbalance",
            {"policy": "prefer", "networks": ((bytes([10, 0, 0, 0]), 8),)},
            why="repeated",
        ),
        Case(
            "loadbalance weighted w",
            {"policy": "weighted", "weight_file": "w", "reload_s": 30.0, "networks": ()},
            why="weighted",
        ),
        Case("loadbalance weighted w {;reload 0s;}", {"reload_s": 0.0}, why="weights are read once"),
        Case("root /;loadbalance weighted w", {"weight_file": "/w"}, why="weights below the root"),
        Case("loadbalance weighted w;loadbalance", {"policy": "round_robin"}, why="the last policy counts"),
    ],
    "kubernetes": [
        Case(
            "kubernetes",
            {
                "zones": ("cluster.local.", "10.in-addr.arpa."),
                "primary": "cluster.local.",
                "endpoint": None,
                "tls": None,
                "kubeconfig": None,
                "context": None,
                "qps": 0.0,
                "burst": 0,
                "max_inflight": 0,
                "namespaces": (),
                "namespace_labels": None,
                "labels": None,
                "pods": "disabled",
                "endpoint_pod_names": False,
                "ttl_s": 5,
                "noendpoints": False,
                "fallthrough": None,
                "ignore_empty_service": False,
                "multicluster": (),
                "zonal": False,
                "startup_timeout_s": 5.0,
                "manifests": (),
            },
            why="defaults",
            zones="Cluster.Local 10.0.0.0/8",
        ),
        Case(
            "kubernetes in-addr.arpa ip6.arpa Cluster.Local other",
            {"zones": ("in-addr.arpa.", "ip6.arpa.", "cluster.local.", "other."), "primary": "cluster.local."},
            why="zones",
        ),
        Case(
            "kubernetes in-addr.arpa ip6.arpa",
            {"zones": ("in-addr.arpa.", "ip6.arpa."), "primary": "in-addr.arpa."},
            why="the reverse roots alone, which CoreDNS takes",
        ),
        Case(
            "kubernetes 10.in-addr.arpa ip6.arpa",
            {"zones": ("10.in-addr.arpa.", "ip6.arpa."), "primary": "ip6.arpa."},
            why="one root, and a zone below the other",
        ),
        Case("kubernetes", {"primary": "in-addr.arpa."}, zones="in-addr.arpa", why="a root as the block's zone"),
        Case(
            "kubernetes a 10.0.0.0/15",
            {"zones": ("a.", "0.10.in-addr.arpa.", "1.10.in-addr.arpa.")},
            why="networks expand",
        ),
        Case("kubernetes a:53", {"zones": ("a.",)}, why="a port is dropped"),
        Case("kubernetes a {;endpoint http://b;}", {"endpoint": "http://b"}, why="endpoint"),
        Case("kubernetes a {;endpoint http://b http://c;}", {"endpoint": "http://b"}, why="two endpoints"),
        Case("kubernetes a {;endpoint b;tls c k a;}", {"tls": ("c", "k", "a")}, why="client certificate"),
        Case("kubernetes a {;kubeconfig f;}", {"kubeconfig": "f", "context": None}, why="kubeconfig"),
        Case("kubernetes a {;kubeconfig f c;}", {"kubeconfig": "f", "context": "c"}, why="a context"),
        Case(
            "kubernetes a {;apiserver_qps 1.5;apiserver_burst 2;apiserver_max_inflight 3;}",
            {"qps": 1.5, "burst": 2, "max_inflight": 3},
            why="bounds of requests",
        ),
        Case("kubernetes a {;apiserver_qps 0;}", {"qps": 0.0}, why="no bound of requests"),
        Case("kubernetes a {;namespaces x y;namespaces z;}", {"namespaces": ("x", "y", "z")}, why="namespaces"),
        Case("kubernetes a {;namespace_labels x=y;}", {"namespace_labels": "x=y"}, why="labels of namespaces"),
        Case("kubernetes a {;labels a in (b, c),!d;}", {"labels": "a in (b, c),!d"}, why="labels, unquoted"),
        Case('kubernetes a {;labels "a in (b,c)";}', {"labels": "a in (b,c)"}, why="labels, quoted"),
        *(
            Case(f"kubernetes a {{;pods {mode};}}", {"pods": mode}, why=f"pods {mode}")
            for mode in ("disabled", "insecure", "verified")
        ),
        Case("kubernetes a {;endpoint_pod_names;}", {"endpoint_pod_names": True}, why="names of pods"),
        Case("kubernetes a {;ttl 0;}", {"ttl_s": 0}, why="the least ttl"),
        Case("kubernetes a {;ttl 3600;}", {"ttl_s": 3600}, why="the most ttl"),
        Case("kubernetes a {;noendpoints;}", {"noendpoints": True}, why="no endpoints"),
        Case("kubernetes a {;fallthrough;}", {"fallthrough": (".",)}, why="fallthrough everywhere"),
        Case(
            "kubernetes a {;fallthrough In-Addr.arpa 10.0.0.0/15;}",
            {"fallthrough": ("in-addr.arpa.", "0.10.in-addr.arpa.", "1.10.in-addr.arpa.")},
            why="fallthrough of zones",
        ),
        Case("kubernetes a {;ignore empty_service;}", {"ignore_empty_service": True}, why="empty services"),
        Case("kubernetes a b {;multicluster B.;}", {"multicluster": ("b.",)}, why="multicluster"),
        Case("kubernetes a {;zonal;}", {"zonal": True}, why="zonal"),
        Case("kubernetes a {;startup_timeout 1m;}", {"startup_timeout_s": 60.0}, why="startup timeout"),
        Case(
            "kubernetes a {;snapshot s;}",
            {"snapshot": "s", "snapshot_max_age_s": 86400.0, "guard_percent": 50, "guard_grace_s": 120.0},
            why="snapshot",
        ),
        Case(
            "kubernetes a {;snapshot s 1h;};root /v",
            {"snapshot": "/v/s", "snapshot_max_age_s": 3600.0},
            why="a snapshot below the root, and its age",
        ),
        Case("kubernetes a {;guard 90%;}", {"guard_percent": 90, "guard_grace_s": 120.0}, why="guard"),
        Case("kubernetes a {;guard 1 5s;}", {"guard_percent": 1, "guard_grace_s": 5.0}, why="guard and its time"),
        Case("kubernetes a {;guard off;}", {"guard_percent": 0}, why="no guard"),
        Case("kubernetes a {;manifests a b;manifests /c;}", {"manifests": ("a", "b", "/c")}, why="manifests"),
        Case("kubernetes a {;manifests m;};root /", {"manifests": ("/m",)}, why="manifests below the root"),
    ],
}

BAD: dict[str, list[Bad]] = {
    "root": [
        Bad("root", "one argument", why="without a path"),
        Bad("root a b", "one argument", why="two paths"),
        Bad("root / {;x;}", "root takes no options", why="a block"),
        Bad("root /dev/null/x", "unable to access the root path", why="below a file"),
    ],
    "debug": [
        Bad("debug x", "no argument", why="an argument"),
        Bad("debug {;x;}", "debug takes no options", why="a block"),
    ],
    "whoami": [
        Bad("whoami x", "no argument", why="an argument"),
        Bad("errors;whoami x", "no argument", line=3, why="an argument, further down"),
        Bad("whoami {;x;}", "whoami takes no options", why="an option"),
    ],
    "timeouts": [
        Bad("timeouts", "at least one of read, write, idle, maxtcpqueries", why="without a block"),
        Bad("timeouts {;}", "at least one of", line=3, why="an empty block"),
        Bad("timeouts 5s {;read 1s;}", "no argument", why="an argument"),
        Bad("timeouts {;read;}", "one argument", line=3, why="without a value"),
        Bad("timeouts {;read 1s 2s;}", "one argument", line=3, why="two values"),
        Bad("timeouts {;read 0.5s;}", "read must be from 1s to 86400s, got 0.5s", line=3, why="too short"),
        Bad("timeouts {;write 24h1s;}", "write must be from 1s to 86400s", line=3, why="too long"),
        Bad("timeouts {;idle soon;}", "no duration", line=3, why="no duration"),
        Bad("timeouts {;idle -5;}", "idle must be from", line=3, why="negative"),
        Bad("timeouts {;reed 1s;}", "did you mean 'read'?", line=3, why="an unknown option"),
        Bad("timeouts {;maxtcpqueries 0;}", "-1, which is no limit", line=3, why="no queries"),
        Bad("timeouts {;maxtcpqueries -2;}", "got -2", line=3, why="fewer than none"),
        Bad("timeouts {;maxtcpqueries x;}", "got 'x'", line=3, why="queries that are no number"),
    ],
    "multisocket": [
        Bad("multisocket 0", "from 1 to 1024, got 0", why="none"),
        Bad("multisocket 1025", "got 1025", why="too many"),
        Bad("multisocket x", "got 'x'", why="no number"),
        Bad("multisocket 1 2", "at most one argument", why="two numbers"),
        Bad("multisocket;multisocket", "only once", line=3, why="twice"),
    ],
    "reload": [
        Bad("reload 1s", "the interval must be at least 2s, got 1s", why="too often"),
        Bad("reload 30", "no duration", why="no unit"),
        Bad("reload 30s 500ms", "0 or at least 1s", why="too little jitter"),
        Bad("reload 30s -1s", "the jitter must be", why="negative jitter"),
        Bad("reload 30s x", "no duration", why="jitter that is no duration"),
        Bad("reload 30s 1s 1s", "at most an interval and a jitter", why="three arguments"),
        Bad("reload;reload 1s", "the interval must be", line=3, why="a mistake in a second one"),
    ],
    "bufsize": [
        Bad("bufsize 511", "from 512 to 4096, got 511", why="too small"),
        Bad("bufsize 4097", "got 4097", why="too large"),
        Bad("bufsize big", "got 'big'", why="no number"),
        Bad("bufsize " + "9" * 5000, "whole number", why="a number of many digits"),
        Bad("bufsize {;}", "bufsize takes no options", why="a block"),
        Bad("bufsize 512 512", "at most one argument", why="two sizes"),
    ],
    "bind": [
        Bad("bind", "at least one argument", why="without an address"),
        Bad("bind nosuch0", "'nosuch0' is neither an IP address nor an interface", why="unknown interface"),
        Bad("bind 127.0.0.1:53", "neither", why="with a port"),
        Bad("bind 127.0.0.01", "neither", why="a leading zero"),
        Bad("bind 127.0.0.1 {;except;}", "at least one argument", line=3, why="an empty exception"),
        Bad("bind 127.0.0.1 {;except nosuch0;}", "neither", line=3, why="an unknown exception"),
        Bad("bind 127.0.0.1 {;accept ::1;}", "did you mean 'except'?", line=3, why="an unknown option"),
    ],
    "ready": [
        Bad("ready 8080", "no address", why="only a number"),
        Bad("ready localhost", "no address", why="only a host"),
        Bad("ready ::1:8080", "no address", why="IPv6 without brackets"),
        Bad("ready [::1]", "no address", why="IPv6 without a port"),
        Bad("ready :", "the port of ':'", why="an empty port"),
        Bad("ready :http", "the port of ':http'", why="a port by name"),
        Bad("ready :65536", "from 0 to 65535, got 65536", why="port too large"),
        Bad("ready :1 :2", "at most one argument", why="two addresses"),
        Bad("ready;ready", "only once", line=3, why="twice"),
        Bad("ready {;monitor;}", "one argument", line=3, why="monitor without a value"),
        Bad("ready {;monitor always;}", "none of until-ready, continuously", line=3, why="unknown monitor"),
        Bad("ready {;monitr x;}", "did you mean 'monitor'?", line=3, why="an unknown option"),
    ],
    "health": [
        Bad("health 8080", "no address", why="no address"),
        Bad("health :1 :2", "at most one argument", why="two addresses"),
        Bad("health {;lameduck;}", "one argument", line=3, why="lameduck without a value"),
        Bad("health {;lameduck 5;}", "no duration", line=3, why="lameduck without a unit"),
        Bad("health {;lameduck -5s;}", "at least 0s", line=3, why="negative lameduck"),
        Bad("health {;x;}", "unknown option 'x'", line=3, why="an unknown option"),
        Bad("health {;lameduck {;5s;};}", "one argument", line=3, why="a block in a block"),
    ],
    "prometheus": [
        Bad("prometheus x", "no address", why="no address"),
        Bad("prometheus :1 :2", "at most one argument", why="two addresses"),
        Bad("prometheus {;runtime_metrics on;}", "no argument", line=3, why="runtime metrics with a value"),
        Bad("prometheus {;tls;}", "one argument", line=3, why="TLS without a file"),
        Bad("prometheus {;tls a b;}", "one argument", line=3, why="TLS with two files"),
        Bad("prometheus {;tls a;tls b;}", "only once", line=4, why="TLS twice"),
        Bad("prometheus {;x;}", "unknown option 'x'", line=3, why="an unknown option"),
        Bad("prometheus;prometheus", "only once", line=3, why="twice"),
    ],
    "errors": [
        Bad("errors stderr", "stdout only", why="another file"),
        Bad("errors stdout stdout", "at most one argument", why="two files"),
        Bad("errors {;x;}", "unknown option 'x'", line=3, why="an unknown option"),
        Bad("errors {;stacktrace on;}", "no argument", line=3, why="stack traces with a value"),
        Bad("errors {;consolidate 5m;}", "wrong argument count", line=3, why="no pattern"),
        Bad("errors {;consolidate 5m a info show_first x;}", "wrong argument count", line=3, why="too much"),
        Bad("errors {;consolidate 5 a;}", "no duration", line=3, why="no duration"),
        Bad("errors {;consolidate -5s a;}", "at least 0s", line=3, why="negative"),
        Bad("errors {;consolidate 5m (;}", "parsing regexp: missing closing ): `(`", line=3, why="Go's words"),
        Bad("errors {;consolidate 5m a{9999};}", "invalid repeat count: `{9999}`", line=3, why="a high count"),
        Bad("errors {;consolidate 5m " + "a" * 10_001 + ";}", "too long: 10001", line=3, why="a long pattern"),
        Bad("errors {;consolidate 5m a loud;}", "got 'loud'", line=3, why="an unknown level"),
        Bad("errors {;consolidate 5m a show_first info;}", "then show_first", line=3, why="the wrong order"),
        Bad("errors {;consolidate 5m a info debug;}", "then show_first", line=3, why="two levels"),
        Bad("errors;errors", "only once", line=3, why="twice"),
    ],
    "loadbalance": [
        Bad("loadbalance least_conn", "unknown policy 'least_conn'", why="an unknown policy"),
        Bad("loadbalance round_robin x", "takes no argument", why="round_robin with an argument"),
        Bad("loadbalance {;prefer 10.0.0.0;}", "invalid CIDR '10.0.0.0'", line=3, why="no length"),
        Bad("loadbalance {;prefer 10.0.0.0/33;}", "invalid CIDR", line=3, why="length too large"),
        Bad("loadbalance {;prefer 10.0.0.0/255.0.0.0;}", "invalid CIDR", line=3, why="a netmask"),
        Bad("loadbalance {;x;}", "unknown option 'x'", line=3, why="an unknown option"),
        Bad("loadbalance {;reload 5s;}", "unknown option 'reload'", line=3, why="reload without weights"),
        Bad("loadbalance weighted", "one argument", why="weighted without a file"),
        Bad("loadbalance weighted a b", "one argument", why="weighted with two files"),
        Bad("loadbalance weighted a {;reload;}", "one argument", line=3, why="reload without a value"),
        Bad("loadbalance weighted a {;reload 5;}", "no duration", line=3, why="reload without a unit"),
        Bad("loadbalance weighted a {;prefer ::/0;}", "unknown option 'prefer'", line=3,
            why="weighted and prefer"),
    ],
    "kubernetes": [
        Bad("kubernetes x.test {;upstream;}", "'upstream'; CoreDNS has removed it", line=3, why="a removed option"),
        Bad("kubernetes x.test {;resyncperiod 1m;}", "changes are watched", line=3, why="another removed option"),
        Bad("kubernetes 10.0.0.0/8", "no reverse zone", why="only reverse zones"),
        Bad("kubernetes", "no reverse zone", zones="10.in-addr.arpa", why="only reverse zones in the block"),
        Bad("kubernetes 8.b.d.0.1.0.0.2.ip6.arpa", "no reverse zone", why="only reverse zones"),
        Bad("kubernetes a..b", "not a valid domain name", why="a bad zone"),
        Bad("kubernetes a;kubernetes b", "only once", line=3, why="twice"),
        Bad("kubernetes a {;x;}", "unknown option 'x'", line=3, why="an unknown option"),
        Bad("kubernetes a {;endpoint;}", "at least one argument", line=3, why="no endpoint"),
        Bad("kubernetes a {;tls a b;}", "three files", line=3, why="two files for TLS"),
        Bad("kubernetes a {;tls a b c d;}", "three files", line=3, why="four files for TLS"),
        Bad("kubernetes a {;kubeconfig;}", "a file", line=3, why="no kubeconfig"),
        Bad("kubernetes a {;kubeconfig a b c;}", "a file", line=3, why="two contexts"),
        Bad("kubernetes a {;apiserver_qps;}", "one argument", line=3, why="no qps"),
        Bad("kubernetes a {;apiserver_qps -1;}", "at least 0, got -1", line=3, why="negative qps"),
        Bad("kubernetes a {;apiserver_qps nan;}", "got 'nan'", line=3, why="qps that is no number"),
        Bad("kubernetes a {;apiserver_qps 1e999;}", "got '1e999'", line=3, why="infinite qps"),
        Bad("kubernetes a {;apiserver_burst 1.5;}", "whole number", line=3, why="a fraction of a burst"),
        Bad("kubernetes a {;apiserver_burst -1;}", "of at least 0, got -1", line=3, why="negative burst"),
        Bad("kubernetes a {;apiserver_max_inflight x;}", "got 'x'", line=3, why="max_inflight is no number"),
        Bad("kubernetes a {;apiserver_max_inflight -1;}", "got -1", line=3, why="negative max_inflight"),
        Bad("kubernetes a {;namespaces;}", "at least one argument", line=3, why="no namespaces"),
        Bad("kubernetes a {;namespace_labels;}", "at least one argument", line=3, why="no namespace labels"),
        Bad("kubernetes a {;namespace_labels a in b;}", "unable to parse", line=3, why="bad namespace labels"),
        Bad("kubernetes a {;namespaces b;namespace_labels c;}", "cannot both be set", line=5,
            why="namespaces and their labels"),
        Bad("kubernetes a {;labels;}", "at least one argument", line=3, why="no labels"),
        Bad("kubernetes a {;labels a=;b=(;}", "unknown option 'b=('", line=4, why="labels over two lines"),
        Bad("kubernetes a {;labels a=(;}", "unable to parse", line=3, why="bad labels"),
        Bad("kubernetes a {;pods;}", "one argument", line=3, why="no pod mode"),
        Bad("kubernetes a {;pods all;}", "none of disabled, insecure, verified", line=3, why="unknown pod mode"),
        Bad("kubernetes a {;snapshot;}", "a file, and optionally", line=3, why="no file of a snapshot"),
        Bad("kubernetes a {;snapshot a 1h b;}", "a file, and optionally", line=3, why="too much of a snapshot"),
        Bad("kubernetes a {;snapshot a b;}", "'b' is no duration", line=3, why="a snapshot's age without unit"),
        Bad("kubernetes a {;snapshot a 1ms;}", "at least 1s, got 1ms", line=3, why="a snapshot that is never used"),
        Bad("kubernetes a {;guard;}", "off, or a percentage", line=3, why="an empty guard"),
        Bad("kubernetes a {;guard off 1m;}", "got 'off'", line=3, why="a guard that is off for a time"),
        Bad("kubernetes a {;guard 100%;}", "from 1 to 99, got 100", line=3, why="a guard of everything"),
        Bad("kubernetes a {;guard 0;}", "from 1 to 99, got 0", line=3, why="a guard of nothing"),
        Bad("kubernetes a {;guard 50% 0s;}", "at least 1s, got 0s", line=3, why="a guard for no time"),
        Bad("kubernetes a {;guard 50% 1m 1m;}", "off, or a percentage", line=3, why="two times of a guard"),
        Bad("kubernetes a {;manifests m;snapshot s;}", "manifests and snapshot cannot both", line=5,
            why="a snapshot of manifests"),
        Bad("kubernetes a {;guard off;manifests m;}", "manifests and guard cannot both", line=5,
            why="a guard of manifests"),
        Bad("kubernetes a {;endpoint_pod_names x;}", "no argument", line=3, why="names of pods with a value"),
        Bad("kubernetes a {;ttl;}", "one argument", line=3, why="no ttl"),
        Bad("kubernetes a {;ttl -1;}", "from 0 to 3600, got -1", line=3, why="negative ttl"),
        Bad("kubernetes a {;ttl 3601;}", "got 3601", line=3, why="ttl too large"),
        Bad("kubernetes a {;ttl 5s;}", "got '5s'", line=3, why="ttl with a unit"),
        Bad("kubernetes a {;noendpoints x;}", "no argument", line=3, why="noendpoints with a value"),
        Bad("kubernetes a {;fallthrough a..b;}", "not a valid domain name", line=3, why="a bad fallthrough zone"),
        Bad("kubernetes a {;ignore;}", "empty_service", line=3, why="ignore nothing"),
        Bad("kubernetes a {;ignore all;}", "empty_service", line=3, why="ignore something else"),
        Bad("kubernetes a {;multicluster;}", "at least one argument", line=3, why="no multicluster zone"),
        Bad("kubernetes a {;multicluster b;}", "none of the zones a.", line=4, why="another multicluster zone"),
        Bad("kubernetes a {;zonal x;}", "no argument", line=3, why="zonal with a value"),
        Bad("kubernetes a {;zonal;noendpoints;}", "zonal and noendpoints", line=5, why="zonal, no endpoints"),
        Bad("kubernetes a {;startup_timeout;}", "one argument", line=3, why="no startup timeout"),
        Bad("kubernetes a {;startup_timeout 5;}", "no duration", line=3, why="startup timeout without a unit"),
        Bad("kubernetes a {;manifests;}", "at least one argument", line=3, why="no manifests"),
        *(
            Bad(f"kubernetes a {{;manifests m;{option};}}", f"manifests and {option.split()[0]}", line=5,
                why=f"manifests and {option.split()[0]}")
            for option in ("endpoint b", "tls c k a", "kubeconfig f", "apiserver_qps 0", "apiserver_burst 0",
                           "apiserver_max_inflight 0")
        ),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=f"{name}: {case.why}") for name, cases in GOOD.items() for case in cases],
)
def test_good_options(name: str, case: Case) -> None:
    good(case, name)


@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=f"{name}: {case.why}") for name, cases in BAD.items() for case in cases],
)
def test_bad_options(name: str, case: Bad) -> None:
    bad(case, name)


# Warnings


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("root /no/such/directory", "plugin/root: Root path does not exist: /no/such/directory"),
        (
            "kubernetes a {;endpoint http://b http://c;}",
            "plugin/kubernetes: only the first endpoint is used, http://b",
        ),
    ],
)
def test_warnings(text: str, warning: str) -> None:
    assert load(block(".", text), environ={}).warnings == (warning,)


# Interfaces


def test_bind_expands_an_interface() -> None:
    addresses = load(".:1053 {\nbind lo\n}", environ={}).blocks[0].plugins["bind"].addresses
    assert "127.0.0.1" in addresses


def test_bind_leaves_out_an_address_of_an_interface() -> None:
    text = ".:1053 {\nbind lo {\nexcept 127.0.0.1\n}\nbind 127.0.0.9\n}"
    addresses = load(text, environ={}).blocks[0].plugins["bind"].addresses
    assert "127.0.0.1" not in addresses
    assert "127.0.0.9" in addresses


# Durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("5s", 5.0),
        ("1h2m3s", 3723.0),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("+5s", 5.0),
        ("-1m", -60.0),
        ("100ms", 0.1),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("10μs", 1e-5),
        ("10ns", 1e-8),
        ("1s1s", 2.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5x", "5s5", "5 s", "1d", "--5s", ".s", "1e3s", "９s", "2562048h", "9" * 500 + "h"]
)
def test_bad_durations(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration_s(text)


@given(st.text(alphabet="0123456789.hmsnuµ+-"))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        parse_duration_s(text)
    except ValueError as error:
        assert "duration" in str(error)


# What a plugin is told of its block


def test_root_is_of_its_own_block(tmp_path: Path) -> None:
    text = f"a {{\nroot {tmp_path}\nloadbalance weighted w\n}}\nb {{\nloadbalance weighted w\n}}"
    first, second = load(text, environ={}).blocks
    assert first.plugins["loadbalance"].weight_file == f"{tmp_path}/w"
    assert second.plugins["loadbalance"].weight_file == "w"
