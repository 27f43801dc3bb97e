"""What only benchmarks need is imported by them alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import fastdns

PACKAGE = Path(fastdns.__file__).parent
# The library is for other programs, and offers the load generator.
ONLY_BENCHMARKS = ("fastdns.bench", "fastdns.library", "aiohttp", "cryptography", "hdrh", "rich")
# A process of its own, where certificates are ordered.
EXCEPT = {"plugins/tls/ordering.py"}


def imported(tree: ast.Module) -> Iterator[str]:
    """What a module imports as it is loaded; not what its functions do when they are called."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        left += ast.iter_child_nodes(node)


def test_the_server_imports_nothing_that_only_benchmarks_need() -> None:
    files = [
        path
        for path in PACKAGE.rglob("*.py")
        if not {"bench", "library"} & set(path.relative_to(PACKAGE).parts)
        and path.relative_to(PACKAGE).as_posix() not in EXCEPT
    ]
    assert len(files) > 50
    found = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in files
        for name in imported(ast.parse(path.read_text()))
        if f"{name}.".startswith(tuple(f"{only}." for only in ONLY_BENCHMARKS))
    ]
    assert not found
