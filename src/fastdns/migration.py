"""The report of a migration: of each line of a Corefile, what becomes of it with fastdns.

Lines are shown as they are written: a value of the environment may be a secret. Lines that only a snippet nobody
imports has are ``same``. Lines behind broken grammar are not in the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from fastdns.corefile.lexer import Token
from fastdns.corefile.mistakes import Mistakes
from fastdns.corefile.parser import parse
from fastdns.corefile.values import read_text
from fastdns.differences import VERDICTS, Difference, Verdict, differences
from fastdns.errors import CorefileError, FastdnsError, PluginError, UnsupportedError
from fastdns.plugins import order
from fastdns.terminal import coloured, wrapped

COLOURS = {"better": "green", "different": "yellow", "unsupported": "red", "error": "red"}
# What to do about a line, where nothing says more.
TO_DO: Mapping[Verdict, str] = {
    "same": "",
    "better": "",
    "different": "nothing, unless somebody relies on CoreDNS's way.",
    "unsupported": "remove it, or keep CoreDNS for this block.",
    # The message says what is expected.
    "error": "",
}


@dataclass(frozen=True, slots=True)
class Note:
    """Why a line has its verdict, and what to do: "" where nothing is to be done."""

    verdict: Verdict
    text: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a Corefile, or of a file that it imports. plugin: whose line it is; "" where it is no plugin's.

    verdict: the worst of its notes, in the order of VERDICTS. notes: the worst first.
    """

    file: str
    line: int
    text: str
    plugin: str
    verdict: Verdict
    notes: tuple[Note, ...]


class _Any:
    """Every name may begin a line: what is no plugin is a mistake that is known already."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())


def lines(text: str, file: str, environ: Mapping[str, str], mistakes: Iterable[FastdnsError]) -> list[Line]:
    """Each line of a Corefile that holds more than braces and comments. mistakes: what is wrong with it."""
    found = Mistakes(keep=True)
    raw = parse(text, file, environ, _Any(), found)
    plugins: dict[tuple[str, int], str] = {}
    notes: dict[tuple[str, int], dict[Note, None]] = {}
    for block in raw.blocks:
        for name, tokens in block.directives.items():
            known = list(differences([order.load(name)])) if _can_load(name) else []
            for words in _rows(tokens):
                place = (words[0].file, words[0].line)
                plugins[place] = name
                notes.setdefault(place, {}).update(dict.fromkeys(_judged(words, name, known)))
    for error in mistakes:
        if isinstance(error, CorefileError | PluginError):
            notes.setdefault((error.file, error.line), {})[_wrong(error)] = None
    read = {file: text, **{name: read_text(name) for name in raw.files}}
    seen = {(key.file, key.line) for block in raw.blocks for key in block.keys} | plugins.keys() | notes.keys()
    return [
        _line(name, number, written, plugins.get((name, number), ""), tuple(notes.get((name, number), ())))
        for name, whole in read.items()
        for number, written in enumerate(whole.split("\n"), 1)
        if written.partition("#")[0].strip(" \t\r{}") and (not found.found or (name, number) in seen)
    ]


def _can_load(name: str) -> bool:
    if name not in order.Directives() or not order.is_available(name):
        return False
    try:
        order.load(name)
    except FastdnsError:
        return False
    return True


def _rows(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    """The tokens of a directive by lines, without those that have braces only."""
    for _, row in groupby(tokens, lambda token: (token.file, token.line)):
        words = [token for token in row if token.text not in ("{", "}")]
        if words:
            yield words


def _judged(words: list[Token], name: str, known: Iterable[Difference]) -> Iterator[Note]:
    texts = [token.text for token in words]
    for difference in known:
        if difference.verdict in ("same", "error"):
            # What fastdns refuses is a mistake of the lines that have it.
            continue
        if difference.concerns(texts, directive=texts[0] == name):
            todo = difference.todo or TO_DO[difference.verdict]
            yield Note(difference.verdict, difference.text, todo)


def _wrong(error: CorefileError | PluginError) -> Note:
    if isinstance(error, UnsupportedError):
        return Note("unsupported", error.what, f"{error.todo}.")
    return Note("error", error.message, TO_DO["error"])


def _line(file: str, number: int, text: str, plugin: str, notes: tuple[Note, ...]) -> Line:
    sorted_notes = sorted(notes, key=lambda note: -VERDICTS.index(note.verdict))
    worst: Verdict = sorted_notes[0].verdict if notes else "same"
    return Line(file, number, text.rstrip(), plugin, worst, tuple(sorted_notes))


def counts(report: Iterable[Line]) -> dict[Verdict, int]:
    """How many lines have each verdict."""
    counted = Counter(line.verdict for line in report)
    return {verdict: counted[verdict] for verdict in VERDICTS}


def shown(report: list[Line], *, colour: bool = False, width: int = 100) -> Iterator[str]:
    """The report for a terminal: the reasons of each line that needs a look, and how many the others have."""
    for file, of_file in groupby(report, lambda line: line.file):
        yield coloured(file, "bold", colour)
        for line in of_file:
            verdict = f"{line.verdict:<11}"
            if line.verdict in COLOURS:
                verdict = coloured(verdict, COLOURS[line.verdict], colour)
            better = sum(note.verdict == "better" for note in line.notes)
            more = f"  ({better} better)" if better else ""
            yield f"{line.line:>4}  {verdict}  {line.text}{more}"
            for note in line.notes:
                if note.verdict != "better":
                    yield from wrapped(note.text, " " * 19, width)
                    if note.todo:
                        yield from wrapped(f"To do: {note.todo}", " " * 19, width)
    counted = counts(report)
    summary = ", ".join(f"{counted[verdict]} {verdict}" for verdict in VERDICTS)
    yield f"{summary}; -differences has the reasons of all"
