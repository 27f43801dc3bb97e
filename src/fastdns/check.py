"""``fastdns check``: every mistake that can be found without serving, what would be served, and the report of a
migration: what becomes of each line of a Corefile that CoreDNS has served.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from fastdns import migration
from fastdns.corefile import ServerConfig, load
from fastdns.corefile.keys import name_warnings
from fastdns.corefile.mistakes import Mistakes
from fastdns.corefile.model import ServerBlock
from fastdns.corefile.values import clean
from fastdns.differences import Difference, Verdict, differences
from fastdns.errors import CorefileError, FastdnsError, PluginError
from fastdns.plugins.api import Check
from fastdns.plugins.order import named
from fastdns.skipped import SkippedLines
from fastdns.transports import kinds


@dataclass(slots=True)
class Report:
    """Mistakes, warnings, differences from CoreDNS, lines, and, without mistakes, what would be served."""

    mistakes: Mistakes
    warnings: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    lines: list[migration.Line] = field(default_factory=list)
    config: ServerConfig | None = None

    @property
    def right(self) -> bool:
        """Whether it can be served."""
        return self.config is not None


def check(load: Callable[[Mistakes], ServerConfig]) -> Report:
    """Read a Corefile, and the files that its plugins read. load collects mistakes in its argument."""
    mistakes = Mistakes(keep=True)
    report = Report(mistakes)
    with mistakes.noted():
        config = load(mistakes)
        with mistakes.noted():
            kinds.prepare({listener.transport for listener in config.listeners})
        look = Check(config, SkippedLines(), mistakes)
        for plugin in named(config):
            plugin.check(look)
        report.warnings += [*config.warnings, *look.warnings]
        report.differences += differences(named(config))
        report.config = None if mistakes.found else config
    mistakes.found.sort(key=_place)
    return report


def check_text(read: Callable[[], str], file: str, default_port: int) -> Report:
    """The same with a report on each line. read: returns the text of the Corefile; file: its name."""
    texts = []

    def load_text(mistakes: Mistakes) -> ServerConfig:
        texts.append(read())
        return load(texts[0], file, default_port=default_port, mistakes=mistakes)

    report = check(load_text)
    for text in texts:
        report.lines += migration.lines(clean(text), clean(file), os.environ, report.mistakes.found)
    return report


def _place(error: FastdnsError) -> tuple[str, int]:
    return (error.file, error.line) if isinstance(error, CorefileError | PluginError) else ("", 0)


def problem_lines(report: Report) -> list[str]:
    """A line for each mistake."""
    lines = [f"fastdns: {error}" for error in report.mistakes.found]
    if report.mistakes.left_out:
        lines.append(f"fastdns: and {report.mistakes.left_out} more")
    return lines


def served_lines(report: Report) -> list[str]:
    """Warnings, and each listener with its zones."""
    lines = [f"[WARNING] {warning}" for warning in report.warnings]
    config = report.config
    if config is None:
        return lines
    for listener in config.listeners:
        lines.append(f"{listener.transport} port {listener.port} on {listener.address or 'every address'}")
        for zone, index in listener.zones:
            block = config.blocks[index]
            plugins = " ".join(block.plugins) or "(no plugins: REFUSED)"
            view = "" if block.settings.view is None else f"  view {block.settings.view}"
            lines += [*name_warnings(zone), f"  {zone}{view}  {plugins}  [{block.file}:{block.line}]"]
    return [*lines, f"sha512 {config.sha512}"]


def difference_lines(report: Report) -> list[str]:
    """A line for each thing that this Corefile's plugins do otherwise than CoreDNS's."""
    return [f"{difference.plugin}: {difference.text}" for difference in report.differences]


# What ``-json`` prints, and the schema of it. Keys are added in later versions; none is removed or changed.


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake. file, line, plugin: where it is known."""

    file: str | None
    line: int | None
    plugin: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of a listener: its plugins, and where its server block begins."""

    zone: str
    view: str | None
    plugins: list[str]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Listener:
    """Where zones are served. address: "" for every address."""

    transport: str
    address: str
    port: int
    zones: list[Zone]


@dataclass(frozen=True, slots=True)
class Document:
    """right: whether the Corefile can be served. lines: what becomes of each line that CoreDNS has served."""

    right: bool
    problems: list[Problem]
    problems_left_out: int
    warnings: list[str]
    differences: list[Difference]
    lines: list[migration.Line]
    verdicts: dict[Verdict, int]
    listeners: list[Listener]
    sha512: str | None


def document(report: Report) -> Document:
    """The report as it is told to programs."""
    config = report.config
    return Document(
        report.right,
        [_problem(error) for error in report.mistakes.found],
        report.mistakes.left_out,
        report.warnings,
        report.differences,
        report.lines,
        migration.counts(report.lines),
        [] if config is None else [
            Listener(
                listener.transport, listener.address, listener.port,
                [_zone(zone, config.blocks[index]) for zone, index in listener.zones],
            )
            for listener in config.listeners
        ],
        None if config is None else config.sha512,
    )  # fmt: skip


def as_json(report: Report) -> str:
    """The report as JSON. Every key is always there."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(document(report)), indent=2).decode()


def schema() -> str:
    """The JSON schema of as_json."""
    import msgspec

    made = msgspec.json.encode(msgspec.json.schema(Document), order="sorted")
    return msgspec.json.format(made, indent=2).decode()


def _zone(zone: str, block: ServerBlock) -> Zone:
    return Zone(zone, block.settings.view, list(block.plugins), block.file, block.line)


def _problem(error: FastdnsError) -> Problem:
    if isinstance(error, CorefileError | PluginError):
        return Problem(error.file or None, error.line or None, error.plugin, error.message)
    return Problem(None, None, None, str(error))
