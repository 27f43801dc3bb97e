"""A plugin is one folder and one line in the order: nothing outside ``plugins/NAME/`` names NAME.

What is read: every source of the package but the plugin's own folder; no comments, no documents, no tests. Names of
plugins are English words as well, so this is what counts as naming a plugin:

1. an import of ``fastdns.plugins.NAME`` or of what is in it; but a plugin that says that it ``needs`` another one
   may import that one's ``plugin.py`` and the modules that it ``offers``;
2. a string constant that is NAME (``with_plugin("NAME")``), a module of it (``"NAME._step"``, ``"plugins.NAME"``),
   its messages (``"plugin/NAME: …"``) or its metrics (``"coredns_NAME_…"``, ``"fastdns_NAME_…"``);
3. a word of the program that has NAME as a part: ``NAME_step``, ``_NAME``, ``NameStep``, ``NAME_FIELDS``. Names in
   WORDS mean much else in a program: of these, only with a part beside them that says "plugin": ``log_step``,
   ``ErrorsConfig``.

In ``fastdns.bench`` and ``fastdns.top`` only imports count: the one writes Corefiles for servers, and is a
Kubernetes API server; the other reads metrics of servers by their names.

OFFENDERS holds what is not so yet, by file and plugin, with who ends it. It may only shrink: an entry that is not
needed any more fails, too. ALLOWED holds what names something else by the same word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns.plugins.order import load
from tests.reading import ROOT, imports, modules, tokens

SOURCE = ROOT / "src" / "fastdns"
KNOWN = modules(ROOT / "src", "fastdns")
PLUGINS = sorted(path.parent.name for path in (SOURCE / "plugins").glob("*/__init__.py"))
WORDS = {
    "any", "auto", "bind", "cancel", "chaos", "debug", "dnssec", "errors", "file", "header", "health", "hosts",
    "local", "log", "loop", "metadata", "minimal", "on", "ready", "reload", "rewrite", "root", "secondary", "shed",
    "sign", "template", "timeouts", "top", "trace", "transfer", "view",
}  # fmt: skip
# Protocols that more than the plugin of that name speaks: only imports of that are looked for.
PROTOCOLS = {"grpc", "https", "https3", "quic", "tls"}
# What makes a plugin of a word.
SAYS_PLUGIN = {"conf", "config", "configs", "options", "plugin", "plugins", "step", "steps"}
# Libraries whose names have a plugin's name as a part.
LIBRARIES = {"prometheus_client"}
# The one line of each plugin.
ORDER = SOURCE / "plugins" / "order.py"

ALLOWED = {
    ("bench/population.py", "kubernetes"): "fills a store as the watcher does, to measure a store of that size",
    ("cli.py", "top"): "a command",
    ("commands.py", "top"): "a command",
    ("http/server.py", "file"): "tls_config_file: the TLS of an endpoint",
    ("listening.py", "cache"): "functools.cache",
    ("log.py", "kubernetes"): "the logger of the package kubernetes",
    ("memory/_syscalls.pxd", "bind"): "bind(2)",
    ("metrics/_stats.pyx", "timeouts"): "a counter of attempts that had no reply in time",
    ("plugins/auto/config.py", "reload"): "an option: reload DURATION",
    ("plugins/dnssec/config.py", "file"): "a source of keys",
    ("plugins/errors/config.py", "debug"): "a level of log lines",
    ("plugins/errors/reporter.py", "debug"): "a level of log lines",
    ("plugins/file/config.py", "reload"): "an option: reload DURATION",
    ("plugins/forward/config.py", "file"): "a field: where a directive stands",
    ("plugins/kubernetes/plugin.py", "transfer"): "what to use instead of the option of old",
    ("plugins/secondary/config.py", "transfer"): "an option: transfer from ADDRESS",
    ("rrsets/notifying.py", "transfer"): "CoreDNS's words in the log",
    ("plugins/etcd/_services.pyx", "any"): "a label that stands for every label",
    ("plugins/etcd/config.py", "debug"): "an option: debug",
    ("plugins/forward/dial.py", "bind"): "bind(2)",
    ("plugins/forward/metrics.py", "timeouts"): "a counter of attempts that had no reply in time",
    ("plugins/geoip/config.py", "file"): "a field: the database",
    ("plugins/sign/config.py", "file"): "a source of keys",
    ("metrics/handshakes.py", "cache"): "functools.cache",
    ("metrics/responses.py", "cache"): "functools.cache",
    ("transports/doh.py", "cache"): "functools.lru_cache",
    ("plugins/sign/signing.py", "cache"): "functools.cache",
    ("plugins/template/metrics.py", "view"): "a label of metrics",
    ("plugins/hosts/config.py", "reload"): "an option: reload DURATION",
    ("plugins/loadbalance/config.py", "reload"): "an option: reload DURATION",
    ("plugins/local/config.py", "on"): "a value: localhost_prefix on|off",
    ("plugins/log/_lines.pyx", "bufsize"): "CoreDNS's placeholder {>bufsize}",
    ("plugins/log/_ring.pxd", "cache"): "a cache line of a CPU",
    ("plugins/pprof/symbols.py", "cache"): "functools.cache",
    ("plugins/prometheus/config.py", "file"): "tls_config_file: the TLS of an endpoint",
    ("plugins/prometheus/families.py", "reload"): "CoreDNS's names of what the supervisor counts",
    ("plugins/prometheus/own.py", "file"): "a label: which file has lines that were skipped",
    ("plugins/prometheus/plugin.py", "file"): "tls_config_file: the TLS of an endpoint",
    ("plugins/rewrite/config.py", "auto"): "an option: answer auto",
    ("plugins/rewrite/edns0.py", "local"): "a rule: edns0 local",
    ("plugins/rewrite/edns0.py", "nsid"): "a rule: edns0 nsid",
    ("process/children.py", "ready"): "a message of workers",
    ("plugins/tls/plugin.py", "cache"): "before which its step stands, as plugins of other packages say it",
    ("process/endpoints.py", "file"): "tls_config_file: the TLS of an endpoint",
    ("regex/classes.py", "cache"): "functools.cache",
    ("regex/unicode.py", "cache"): "functools.cache",
}
ALLOWED |= {
    ("demo.py", "metadata"): "of a Kubernetes object",
    ("dns/_signatures.pxd", "tsig"): "the type of records (RFC 8945)",
    ("dns/_signatures.pyx", "tsig"): "the type of records (RFC 8945)",
    ("expr/_program.pyx", "loop"): "a function with a predicate",
    ("expr/_program.pyx", "metadata"): "CoreDNS's function of that name",
    ("expr/_query.pxd", "bufsize"): "CoreDNS's function of that name",
    ("expr/_query.pyx", "bufsize"): "CoreDNS's function of that name",
    ("expr/functions.py", "any"): "expr-lang's function of that name",
    ("expr/functions.py", "bufsize"): "CoreDNS's function of that name",
    ("expr/functions.py", "metadata"): "CoreDNS's function of that name",
    ("expr/syntax.py", "any"): "expr-lang's function of that name",
    ("expr/tree.py", "metadata"): "CoreDNS's function of that name",
    ("expr/types.py", "any"): "a type of which nothing is known",
    ("plugins/acl/metrics.py", "view"): "a label of metrics",
    ("plugins/cache/metrics.py", "view"): "a label of metrics",
    ("plugins/pprof/page.py", "trace"): "a page that Go's runtime has",
    ("plugins/pprof/plugin.py", "trace"): "a page that Go's runtime has",
    ("plugins/prometheus/families.py", "view"): "a label of metrics",
    ("plugins/prometheus/queries.py", "view"): "a label of metrics",
    ("plugins/transfer/metrics.py", "view"): "a label of metrics",
}
OFFENDERS: dict[tuple[str, str], str] = {}


def parts(word: str) -> list[str]:
    """The parts of a word, in lower case: of LOG_STEP, log_step and LogStep log and step."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", word)]


def names_by_word(word: str, plugin: str) -> bool:
    """Whether a word of the program names a plugin."""
    if plugin not in word.lower():
        return False
    found = parts(word)
    if plugin not in found or plugin in PROTOCOLS or word in LIBRARIES:
        return False
    return plugin not in WORDS or bool(SAYS_PLUGIN & set(found))


def names_by_string(text: str, plugin: str) -> bool:
    """Whether a string constant names a plugin."""
    if plugin not in text or plugin in PROTOCOLS:
        return False
    name = re.escape(plugin)
    form = rf"{name}|{name}(\._?[a-z]+)+|(.*\W)?plugins?[./]{name}(\W.*)?|(coredns|fastdns)_{name}_.*"
    return re.fullmatch(form, text, re.DOTALL) is not None


def named(path: Path, plugins: list[str]) -> Iterator[tuple[str, int, str]]:
    """The plugins that a file names: plugin, line, and what names it."""
    place = path.relative_to(SOURCE)
    own = place.parts[1] if place.parts[0] == "plugins" and len(place.parts) > 2 else ""
    needed = load(own).needs if own else ()
    offers = {plugin: ("plugin", *load(plugin).offers) for plugin in needed}
    offered = {f"fastdns.plugins.{plugin}.{module}" for plugin in needed for module in offers[plugin]}
    others = [plugin for plugin in plugins if plugin != own]
    for one in imports(path, KNOWN):
        plugin = ".".join(one.target.split(".")[2:3]) if one.target.startswith("fastdns.plugins.") else ""
        if plugin in others and one.target not in offered:
            yield plugin, one.line, f"import of {one.target}"
    if place.parts[0] in ("bench", "top") or path == ORDER:
        return
    before = ""
    for token in tokens(path.read_text()):
        for plugin in others:
            # What follows a dot in the name of a module is looked at above.
            if token.kind == "name" and before != "plugins." and names_by_word(token.text, plugin):
                yield plugin, token.line, f"word {token.text}"
            # Where a plugin says what it needs, and where it asks for it.
            if place.name == "plugin.py" and plugin in needed and token.text == plugin:
                continue
            if token.kind == "string" and names_by_string(token.text, plugin):
                yield plugin, token.line, f"string {token.text!r}"
        before = f"{before}." if token.text == "." else token.text


def test_nothing_outside_its_folder_names_a_plugin() -> None:
    assert len(PLUGINS) >= 18
    found: dict[tuple[str, str], list[str]] = {}
    for files in KNOWN.values():
        for path in files:
            place = path.relative_to(SOURCE).as_posix()
            for plugin, line, how in named(path, PLUGINS):
                found.setdefault((place, plugin), []).append(f"{place}:{line}: {plugin}: {how}")
    known = OFFENDERS.keys() | ALLOWED.keys()
    assert [message for key, messages in found.items() if key not in known for message in messages] == []
    assert OFFENDERS.keys() - found.keys() == set(), "they name it no more: remove them from OFFENDERS"
    assert ALLOWED.keys() - found.keys() == set(), "they name it no more: remove them from ALLOWED"
    assert OFFENDERS.keys() & ALLOWED.keys() == set()


def test_the_order_has_a_line_for_each_plugin() -> None:
    listed = [token.text for token in tokens(ORDER.read_text()) if token.kind == "string"]
    assert {plugin: listed.count(plugin) for plugin in PLUGINS} == dict.fromkeys(PLUGINS, 1)


@pytest.mark.parametrize(
    ("plugin", "words", "others"),
    [
        ("cache", ["cache", "_cache", "cache_step", "CacheStep", "CACHE_FIELDS"], ["caches", "cached", "uncached"]),
        ("log", ["log_step", "LogStep", "log_configs"], ["log", "log_lines_s", "LogRecord", "catalog_step"]),
        ("prometheus", ["prometheus", "PrometheusStep"], ["prometheus_client"]),
    ],
)
def test_words_that_name_a_plugin(plugin: str, words: list[str], others: list[str]) -> None:
    assert [word for word in words + others if names_by_word(word, plugin)] == words


def test_strings_that_name_a_plugin() -> None:
    strings = [
        "log", "log._step", "log.config", "fastdns.plugins.log._step", "plugin/log: no such file",
        "see plugins/log/x", "coredns_log_lines_total", "fastdns_log_dropped_total",
    ]  # fmt: skip
    others = ["a log", "log: no", "log.", "plugin/logs", "coredns_logs", "coredns_login_total", "/log", "Log"]
    assert [text for text in strings + others if names_by_string(text, "log")] == strings


def test_what_of_a_file_names_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another plugin's plugin.py is for plugins only, and the words of an import are no further finding."""
    text = (
        "from fastdns.plugins.forward.plugin import upstreams\n"
        "from fastdns.plugins.forward.pool import Pool  # forward\n"
        'forward_step = options.get("cache")\n'
    )
    found = {}
    for place in ("plugins/loop/probes.py", "plugins/forward/plugin.py", "serve/zones.py", "bench/run.py"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        found[place] = path
    (tmp_path / "plugins" / "forward" / "pool.py").write_text("")
    monkeypatch.setattr("tests.test_names.SOURCE", tmp_path)
    known = ("fastdns.plugins.forward.plugin", "fastdns.plugins.forward.pool")
    monkeypatch.setattr("tests.test_names.KNOWN", dict.fromkeys(known, ()))
    plugin = "import of fastdns.plugins.forward.plugin"
    pool = "import of fastdns.plugins.forward.pool"
    both = ["cache", "forward"]
    lines = {place: [(line, how) for _, line, how in named(path, both)] for place, path in found.items()}
    assert lines == {
        "plugins/loop/probes.py": [(2, pool), (3, "word forward_step"), (3, "string 'cache'")],
        "plugins/forward/plugin.py": [(3, "string 'cache'")],
        "serve/zones.py": [(1, plugin), (2, pool), (3, "word forward_step"), (3, "string 'cache'")],
        "bench/run.py": [(1, plugin), (2, pool)],
    }
