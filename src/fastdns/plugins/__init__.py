"""The plugins: one folder each. ORDER is the only place that says in which order they run.

A plugin's folder holds README.md, config.py (``Config`` and ``parse``) and, where it takes part in answering,
``_step.pyx`` with its native step. Importing a plugin has no side effect.
"""

# CoreDNS's plugin.cfg. Steps run, and configurations are parsed, in this order.
ORDER = (
    "root", "metadata", "geoip", "cancel", "proxyproto", "quic", "grpc_server", "https", "https3", "timeouts",
    "multisocket", "reload", "nsid", "bufsize", "bind", "debug", "trace", "ready", "health", "pprof", "shed",
    "prometheus", "errors", "log", "dnstap", "local", "dns64", "any", "chaos", "loadbalance", "tsig", "rewrite",
    "autopath", "acl", "cache", "header", "dnssec", "tls", "minimal", "template", "transfer", "hosts", "route53",
    "azure", "clouddns", "k8s_external", "kubernetes", "file", "auto", "secondary", "etcd", "loop", "forward",
    "grpc", "erratic", "whoami", "on", "sign", "view", "nomad",
)  # fmt: skip

# The ones that this version has; naming another is an error that says so.
AVAILABLE = frozenset(
    (
        "root", "timeouts", "multisocket", "reload", "bufsize", "bind", "debug", "ready", "health", "prometheus",
        "errors", "log", "loadbalance", "cache", "kubernetes", "loop", "forward", "whoami",
    )
)  # fmt: skip
