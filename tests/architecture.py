"""The layers of the package, and the picture of them in docs/architecture.md, which is made of the imports.

    python -m tests.architecture            say what of it is not as it should be
    python -m tests.architecture --write    write the picture

``tests/test_imports.py`` tests both.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.reading import ROOT, Import, imports, modules

PAGE = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- Written by `python -m tests.architecture --write` from the imports; a test compares. -->"
END = "<!-- Up to here. -->"


@dataclass(frozen=True)
class Layer:
    name: str
    holds: str
    why: str  # why it is above the layers before it, or below those after it
    modules: tuple[str, ...]  # NAME: this module. NAME.*: it and all below it, unless a longer name says otherwise


# The lowest first. A module may import its own layer and every layer before it.
LAYERS = (
    Layer(
        "basis", "errors, logging, addresses, the environment, TLS contexts", "it knows nothing of DNS servers",
        ("fastdns", "fastdns.children", "fastdns.counted", "fastdns.environ", "fastdns.errors", "fastdns.inherited",
         "fastdns.listening", "fastdns.log", "fastdns.netaddrs", "fastdns.skipped", "fastdns.threads",
         "fastdns.servertls", "fastdns.terminal", "fastdns.tls"),
    ),
    Layer(
        "libraries", "HTTP client and server, regular expressions", "they could be packages of their own",
        ("fastdns.http.*", "fastdns.regex.*"),
    ),
    Layer(
        "memory", "mappings, the zone store, what they are made of", "it keeps bytes, whatever they say",
        ("fastdns.memory.*",),
    ),
    Layer(
        "dns", "the wire format, framing on streams", "it reads and writes messages, and asks nobody",
        ("fastdns.dns.*", "fastdns._wire"),
    ),
    Layer(
        "rrsets", "zones of RRsets in the zone store", "they are records of the store",
        ("fastdns.rrsets.*",),
    ),
    Layer(
        "zonefiles", "zone files: read in child processes, followed", "they are published as zones of RRsets",
        ("fastdns.zonefiles.*",),
    ),
    Layer(
        "metrics", "the counters of each thread, and what they are called", "everything above counts in them",
        ("fastdns.metrics.*",),
    ),
    Layer(
        "serve", "the context of a query, zones, the chain of steps", "it runs steps, and knows none of them",
        ("fastdns.serve.*",),
    ),
    Layer(
        "authoritative", "answers from zones of RRsets", "its steps know zones, and no plugin",
        ("fastdns.authoritative.*",),
    ),
    Layer(
        "expressions", "expr-lang's expressions over queries", "they ask what a query is, and know no plugin",
        ("fastdns.expr.*",),
    ),
    Layer(
        "transports", "sockets, connections, limits of clients", "they move bytes, and call what serves them",
        ("fastdns.transports.*",),
    ),
    Layer(
        "corefile", "tokens, options, what a configuration is", "it opens nothing and starts nothing",
        ("fastdns.corefile.*",),
    ),
    Layer(
        "hostedzones", "zones that a provider lists over its API", "they are read and answered as zones",
        ("fastdns.hostedzones.*",),
    ),
    Layer(
        "plugins", "the interface, the order, and one folder each", "each is made of what is below",
        ("fastdns.plugins.*",),
    ),
    Layer(
        "configuration", "a Corefile's text to a configuration", "it has each plugin read its part",
        ("fastdns.corefile", "fastdns.corefile.config"),
    ),
    Layer(
        "process", "supervisor, workers, watcher", "it puts everything together and keeps it alive",
        ("fastdns.process.*",),
    ),
    Layer(
        "bench", "load generator, synthetic API server", "it is no part of the server, which never imports it",
        ("fastdns.bench.*",),
    ),
    Layer(
        "library", "messages, Corefiles and load, for other programs", "it is made of the server's parts",
        ("fastdns.library.*",),
    ),
    Layer(
        "top", "the view of a running server", "it asks servers over HTTP, and is no part of one",
        ("fastdns.top.*",),
    ),
    Layer(
        "commands", "what the words of a command line start", "nothing imports them",
        ("fastdns.__main__", "fastdns.check", "fastdns.cli", "fastdns.commands", "fastdns.completion",
         "fastdns.demo", "fastdns.differences", "fastdns.manual",
         "fastdns.migration"),
    ),
)  # fmt: skip
NAMES = [layer.name for layer in LAYERS]


def layer_of(module: str) -> Layer | None:
    """The layer of a module: None where the table has none."""
    places = {pattern: layer for layer in LAYERS for pattern in layer.modules}
    parts = module.split(".")
    for pattern in (module, *(f"{'.'.join(parts[:size])}.*" for size in range(len(parts), 0, -1))):
        if pattern in places:
            return places[pattern]
    return None


def all_imports(known: dict[str, tuple[Path, ...]]) -> dict[tuple[str, str], Import]:
    """Who imports whom, and where first; nobody imports itself."""
    found: dict[tuple[str, str], Import] = {}
    for module, files in known.items():
        for file in files:
            for one in imports(file, known):
                if one.target != module:
                    found.setdefault((module, one.target), one)
    return found


def circles(edges: set[tuple[str, str]]) -> list[frozenset[str]]:
    """The sets of modules of which each imports each, by way of others or not (Tarjan)."""
    after: dict[str, list[str]] = defaultdict(list)
    for importer, target in sorted(edges):
        after[importer].append(target)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in after[module]:
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            circle = stack[stack.index(module) :]
            del stack[-len(circle) :]
            if len(circle) > 1:
                found.append(frozenset(circle))

    for module in sorted(after):
        if module not in index:
            visit(module)
    return found


def between_layers(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The imports of modules as imports of layers, by name."""
    named = {module: layer.name if (layer := layer_of(module)) else "?" for edge in edges for module in edge}
    return {(named[importer], named[target]) for importer, target in edges if named[importer] != named[target]}


def without_detours(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges that do not follow from others: no a to c where a leads to b and b to c. There is no circle."""

    def reached(start: str) -> set[str]:
        next_ = {target for importer, target in edges if importer == start}
        return next_.union(*(reached(target) for target in next_))

    return {
        (importer, target)
        for importer, target in edges
        if not any(target in reached(other) for start, other in edges if start == importer and other != target)
    }


def picture(edges: set[tuple[str, str]]) -> str:
    """The section of docs/architecture.md between its two marks. edges: the imports of modules."""
    layers = between_layers(edges)
    up = {(importer, target) for importer, target in layers if NAMES.index(importer) < NAMES.index(target)}
    lines = ["```mermaid", "flowchart TD"]
    for layer in reversed(LAYERS):
        lines.append(f'    {layer.name}["<b>{layer.name}</b><br>{layer.holds}"]')
    for importer, target in sorted(without_detours(layers - up), key=order):
        lines.append(f"    {importer} --> {target}")
    for importer, target in sorted(up, key=order):
        lines.append(f"    {importer} -. to be removed .-> {target}")
    lines += ["```", "", "| layer | why it stands there | imports |", "| --- | --- | --- |"]
    for layer in reversed(LAYERS):
        targets = sorted((target for importer, target in layers if importer == layer.name), key=NAMES.index)
        lines.append(f"| {layer.name} | {layer.why} | {', '.join(reversed(targets)) or 'nothing of fastdns'} |")
    folders = sorted({pair for edge in edges if (pair := plugins(edge))})
    listed = "; ".join(f"{importer} imports {target}" for importer, target in folders)
    lines += ["", f"Plugins that import another plugin: {listed or 'none'}."]
    return "\n".join(lines)


def order(edge: tuple[str, str]) -> tuple[int, int]:
    return -NAMES.index(edge[0]), -NAMES.index(edge[1])


# Modules of plugins that are no plugins.
SHARED = {"api", "observers", "order", "python", "steps", "tasks", "values"}


def plugins(edge: tuple[str, str]) -> tuple[str, str] | None:
    """The two plugins where the module of one imports another's."""
    folders = [module.split(".")[2] for module in edge if module.startswith("fastdns.plugins.")]
    return (folders[0], folders[1]) if len(set(folders) - SHARED) == 2 else None


def with_picture(page: str, made: str) -> str:
    """The page with what is between its two marks replaced."""
    before, begin, rest = page.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"\n{END}")
    if not begin or not end:
        raise SystemExit(f"{PAGE}: expected once each, in this order: {BEGIN!r} and {END!r}")
    return f"{before}{begin}{made}{end}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.architecture", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the picture into docs/architecture.md")
    write = parser.parse_args().write
    page = PAGE.read_text()
    made = with_picture(page, picture(set(all_imports(modules(ROOT / "src", "fastdns")))))
    if write:
        PAGE.write_text(made)
    elif page != made:
        print("docs/architecture.md: its picture is not what the imports say: run it with --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
