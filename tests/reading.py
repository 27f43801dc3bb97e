"""Reads sources, Python's by ``ast`` and Cython's by words: what tests of imports, names and markers share."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUFFIXES = (".py", ".pyx", ".pxd")


@dataclass(frozen=True)
class Token:
    kind: str  # "name", "string" (text without its quotes), or "mark" for each other character
    text: str
    line: int


@dataclass(frozen=True)
class Import:
    file: Path
    line: int
    target: str  # the module: of `from a import b` a.b where that is a module, otherwise a


TOKEN = re.compile(
    r"""
      \#[^\n]*
    | (?P<prefix>[A-Za-z]{0,2})(?P<quotes>'{3}|"{3})(?P<long>.*?)(?<!\\)(?P=quotes)
    | [A-Za-z]{0,2}"(?P<double>(?:\\.|[^"\\\n])*)"
    | [A-Za-z]{0,2}'(?P<single>(?:\\.|[^'\\\n])*)'
    | (?P<name>[A-Za-z_]\w*)
    | [0-9]\w*
    | \\\n
    | (?P<mark>\n|\S)
    """,
    re.VERBOSE | re.DOTALL,
)


def tokens(text: str) -> Iterator[Token]:
    """The words, strings and marks of Python or Cython; comments are left out, and lines end with a mark."""
    line, seen = 1, 0
    for found in TOKEN.finditer(text):
        line += text.count("\n", seen, found.start())
        seen = found.start()
        for kind in ("name", "mark"):
            if found[kind] is not None:
                yield Token(kind, found[kind], line)
        for group in ("long", "double", "single"):
            if found[group] is not None:
                yield Token("string", found[group], line)


def words(text: str) -> Iterator[tuple[int, list[str]]]:
    """The words and marks of each logical line, with the number of the line where it begins."""
    depth, first, taken = 0, 1, []
    for token in tokens(text):
        if token.kind == "mark" and token.text in "\n;" and depth == 0:
            if taken:
                yield first, taken
            taken = []
            continue
        if not taken:
            first = token.line
        depth += (token.text in "([{") - (token.text in ")]}") if token.kind == "mark" else 0
        if token.text != "\n":
            taken.append(token.text if token.kind != "string" else '""')
    if taken:
        yield first, taken


def cython_imports(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Line, module and names of each import and cimport; no names for one of the module itself."""
    for line, found in words(text):
        # `cdef extern from "file.h":` is none: what follows is no word.
        after = next((at for at, word in enumerate(found) if word in ("import", "cimport")), 0)
        if found[0] == "from" and after:
            module, rest = "".join(found[1:after]), found[after + 1 :]
            listed = [word for at, word in enumerate(rest) if rest[at - 1 : at] in ([], [","], ["("])]
            yield line, module, [word for word in listed if word not in ("(", ")")]
        elif found[0] in ("import", "cimport"):
            for module in "".join(f" {word} " if word == "as" else word for word in found[1:]).split(","):
                yield line, module.partition(" as ")[0].strip(), []


def python_imports(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """As cython_imports: at the top, in functions, and for type checkers only."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or ""), [alias.name for alias in node.names]


@cache
def modules(folder: Path, package: str) -> dict[str, tuple[Path, ...]]:
    """The modules of a package below folder by their dotted names, each with its files: .py, or .pyx and .pxd."""
    found: dict[str, tuple[Path, ...]] = {}
    for path in sorted((folder / package).rglob("*")):
        if path.suffix in SUFFIXES:
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = (*found.get(name, ()), path)
    return found


def imports(path: Path, known: dict[str, tuple[Path, ...]]) -> list[Import]:
    """What a file imports of the known modules.

    Raises ValueError for a relative import: none is written here, and one would be overlooked.
    """
    read = python_imports if path.suffix == ".py" else cython_imports
    found = []
    for line, module, names in read(path.read_text()):
        if module.startswith("."):
            raise ValueError(f"{path}:{line}: a relative import: write the whole name of the module")
        for target in [f"{module}.{name}" if f"{module}.{name}" in known else module for name in names] or [module]:
            if target in known:
                found.append(Import(path, line, target))
    return sorted(set(found), key=lambda one: (one.line, one.target))
