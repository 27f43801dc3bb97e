"""What an ``import`` brings in: a snippet, a file, or the files that a pattern with one wildcard matches."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, field
from pathlib import Path

from fastdns.corefile.lexer import Token, tokenize
from fastdns.corefile.values import clean, read_text, substitute
from fastdns.errors import CorefileError

# CoreDNS's caps on how many imports one Corefile may expand to.
MAX_SNIPPETS = 10_000
MAX_FILES = 100_000
# Imports of imports multiply: this bounds time and memory whatever their shape.
MAX_TOKENS = 1_000_000


@dataclass(slots=True)
class Importer:
    """Snippets and files that may be imported, and how much has been. One for each Corefile that is read."""

    environ: dict[str, str]
    snippets: dict[str, list[Token]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _lexed: dict[str, list[Token]] = field(default_factory=dict)
    _snippet_count: int = 0
    _file_count: int = 0
    _token_count: int = 0
    # Of each expansion, the one around it and what it brought in.
    _expansions: list[tuple[int, str]] = field(default_factory=lambda: [(0, "")])

    def define(self, name: str, tokens: list[Token], at: Token) -> None:
        """Notes a snippet. Raises CorefileError if it is there already, or imports itself."""
        if name in self.snippets:
            raise CorefileError(f"snippet {name!r} is declared already", at.file, at.line)
        for before, word, argument in zip([None, *tokens], tokens, tokens[1:], strict=False):
            opens_line = before is None or not word.on_line_of(before)
            if word.text == "import" and opens_line and substitute(argument.text, self.environ) == name:
                raise CorefileError(f"snippet {name!r} imports itself", word.file, word.line)
        self.snippets[name] = tokens

    def expand(self, what: str, at: Token) -> list[Token]:
        """The tokens that ``import what`` stands for; ``at`` is its argument. Raises CorefileError."""
        if not what:
            raise CorefileError("import needs the name of a snippet or file, got none", at.file, at.line)
        if what in self.snippets:
            self._snippet_count += 1
            if self._snippet_count > MAX_SNIPPETS:
                raise CorefileError(f"more than {MAX_SNIPPETS} imports of snippets", at.file, at.line)
            return self._spliced(self.snippets[what], f"snippet {what!r}", at)
        self._file_count += 1
        if self._file_count > MAX_FILES:
            raise CorefileError(f"more than {MAX_FILES} imports of files", at.file, at.line)
        return [token for path in self._matches(what, at) for token in self._file(path, at)]

    def _matches(self, what: str, at: Token) -> list[str]:
        # Without "..", so that a file has one name, and one that imports itself is known.
        pattern = os.path.normpath(Path(at.file).absolute().parent / what)
        if pattern.count("*") > 1 or pattern.count("?") > 1 or ("[" in pattern and "]" in pattern):
            raise CorefileError(f"import takes at most one wildcard, got {pattern}", at.file, at.line)
        if "\0" in pattern or not ("*" in pattern or "?" in pattern or _exists(pattern)):
            raise CorefileError(f"file to import not found: {what!r}", at.file, at.line)
        if "*" not in pattern and "?" not in pattern:
            return [pattern]
        found = sorted(glob.glob(pattern, include_hidden=True))  # noqa: PTH207 - Path.glob skips no hidden files
        if not found:
            self.warnings.append(f"No files matching import glob pattern: {what}")
        return found

    def _file(self, path: str, at: Token) -> list[Token]:
        if path not in self._lexed:
            try:
                text = read_text(path)
            except (OSError, ValueError) as error:
                raise CorefileError(f"could not import {path}: {error}", at.file, at.line) from None
            self._lexed[path] = list(tokenize(clean(text), path))
            self.files.append(path)
        return self._spliced(self._lexed[path], path, at)

    def _spliced(self, tokens: list[Token], name: str, at: Token) -> list[Token]:
        """tokens as their own expansion inside that of ``at``."""
        around = at.expansion
        while around:
            around, other = self._expansions[around]
            if other == name:
                raise CorefileError(f"{name} imports itself", at.file, at.line)
        self._token_count += len(tokens)
        if self._token_count > MAX_TOKENS:
            raise CorefileError(f"imports bring in more than {MAX_TOKENS} tokens", at.file, at.line)
        self._expansions.append((at.expansion, name))
        expansion = len(self._expansions) - 1
        return [token._replace(expansion=expansion) for token in tokens]


def _exists(path: str) -> bool:
    try:
        Path(path).stat()
    except OSError:
        return False
    return True
