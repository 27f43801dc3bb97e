"""One use of each plugin in the block of the cluster's zone, to measure what it costs a query.

The lines of a plugin do what they usually do beside *kubernetes*: they look at the cluster's names and let them
pass. Zones, networks and rules of theirs are others than those of the queries, except where the plugin's work is on
every query (metadata, nsid, header, minimal, ...). ``{home}`` is the directory of the server's files, ``{port}`` a
free port.
"""

from __future__ import annotations

from bench.population import ZONE

# A name of RFC 2606, which no query is for.
ELSEWHERE = "elsewhere.example"

FILES = {
    "zone.db": f"@ 60 IN SOA ns.{ELSEWHERE}. host.{ELSEWHERE}. 1 7200 3600 86400 60\n@ 60 IN NS ns.{ELSEWHERE}.\n",
    "hosts": "".join(f"192.0.2.{host} host{host}.{ELSEWHERE}\n" for host in range(200)),
}

LINES = {
    "acl": ["acl {", "    block net 192.0.2.0/24 198.51.100.0/24", "    allow net 127.0.0.0/8", "}"],
    "any": ["any"],
    "auto": [f"auto {ELSEWHERE} {{", "    directory {home} zone\\.(db) " + ELSEWHERE, "}"],
    "autopath": ["autopath @kubernetes"],
    "bufsize": ["bufsize 1232"],
    "cache": ["cache 30"],
    "cancel": ["cancel"],
    "chaos": ["chaos"],
    "ddr": ["ddr dns.example"],
    "dns64": ["dns64"],
    "dnstap": ["dnstap {home}/nobody.sock"],
    "erratic": ["erratic"],
    "errors": ["errors"],
    "file": [f"file {{home}}/zone.db {ELSEWHERE}"],
    "forward": ["forward . 127.0.0.1:{port}"],
    "grpc": ["grpc . 127.0.0.1:{port}"],
    "header": ["header {", "    response set ra", "}"],
    "health": ["health 127.0.0.1:{port}"],
    "hosts": ["hosts {home}/hosts {", "    fallthrough", "}"],
    "grpc_server": ["grpc_server {", "    max_connections 200", "}"],
    "https": ["https {", "    max_connections 200", "}"],
    "k8s_external": [f"k8s_external {ELSEWHERE}"],
    "loadbalance": ["loadbalance"],
    "local": ["local"],
    "log": ["log . {", "    class error", "}"],
    "loop": ["loop"],
    "metadata": ["metadata"],
    "minimal": ["minimal"],
    "nsid": ["nsid bench"],
    "prometheus": ["prometheus 127.0.0.1:{port}"],
    "proxyproto": ["proxyproto {", "    allow 192.0.2.0/24", "}"],
    "ready": ["ready 127.0.0.1:{port}"],
    "rewrite": [
        f"rewrite name exact www.{ELSEWHERE} host.{ELSEWHERE}",
        f"rewrite name suffix .{ELSEWHERE} .{ZONE} answer auto",
        "rewrite type ANY HINFO",
    ],
    "shed": ["shed"],
    "template": [f"template IN A {ELSEWHERE} {{", '    answer "{{ .Name }} 60 IN A 192.0.2.1"', "}"],
    "timeouts": ["timeouts {", "    read 5s", "}"],
    "trace": ["trace 127.0.0.1:{port} {", "    every 1000", "}"],
    "top": ["top {", "    address 127.0.0.1:{port}", "}"],
    "transfer": ["transfer {", "    to 192.0.2.53", "}"],
    "tsig": ["tsig {", "    secret key.example. NoTCJU+DMqFWywaPyxSijrDEA/eC3nK0xi3AMEZuPVk=", "}"],
    "view": ["view local {", "    expr incidr(client_ip(), '127.0.0.0/8')", "}"],
    "whoami": ["whoami"],
}

# Why a plugin has no lines here.
LEFT_OUT = {
    "bind": "the block has it in every bench",
    "debug": "it changes what is logged, no query's way",
    "dnssec": "it signs what is asked with DO: python -m bench.dnssec",
    "etcd": "it needs etcd: python -m bench.service_steps",
    "geoip": "it needs a database: see tests/plugins/geoip",
    "kubernetes": "the block has it in every bench",
    "multisocket": "it says how many workers there are",
    "nomad": "it needs Nomad; its records are answered as etcd's are",
    "on": "it runs commands at the start and the end",
    "pprof": "it does nothing while nobody asks for a profile",
    "https3": "it bounds connections, as quic does",
    "quic": "it bounds connections: python -m bench.transports",
    "reload": "it looks at files, not at queries",
    "root": "it changes where files are looked for",
    "secondary": "it needs a primary; its zones are answered as those of file are",
    "sign": "it signs files, not answers",
    "tls": "it encrypts connections: dnsperf -m dot",
    **dict.fromkeys(
        ("azure", "clouddns", "route53"), "its zones are listed by a provider, and answered as those of file are"
    ),
}
