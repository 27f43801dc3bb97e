"""fastdns: a cluster DNS server for Kubernetes that drops in where CoreDNS runs.

What is useful alone is a library: the names of ``PUBLIC``, which docs/reference/library.md describes. Each is
imported when it is first used: a server imports none of them. Their types are in ``__init__.pyi``.
"""

__version__ = "0.1.0"

# Name -> the module that has it.
PUBLIC = {
    "BenchError": "fastdns.bench.errors",
    "CorefileBlock": "fastdns.library.corefile",
    "CorefileError": "fastdns.errors",
    "CorefileLine": "fastdns.library.corefile",
    "FastdnsError": "fastdns.errors",
    "LoadResult": "fastdns.library.load",
    "MessageError": "fastdns.library.wire",
    "Query": "fastdns.library.wire",
    "Record": "fastdns.library.wire",
    "Reply": "fastdns.library.wire",
    "measure": "fastdns.library.load",
    "parse_corefile": "fastdns.library.corefile",
    "read_query": "fastdns.library.wire",
    "read_reply": "fastdns.library.wire",
    "write_query": "fastdns.library.wire",
    "write_reply": "fastdns.library.wire",
}
__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> object:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
