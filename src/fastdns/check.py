"""``fastdns check``: every mistake that can be found without serving, or what would be served."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastdns.corefile import ServerConfig
from fastdns.corefile.keys import is_preferred
from fastdns.corefile.mistakes import Mistakes
from fastdns.differences import Difference, differences
from fastdns.errors import CorefileError, FastdnsError
from fastdns.plugins.api import Check
from fastdns.plugins.order import named
from fastdns.skipped import SkippedLines


@dataclass(slots=True)
class Report:
    """Mistakes, warnings, differences from CoreDNS, and, without mistakes, what would be served."""

    mistakes: Mistakes
    warnings: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    config: ServerConfig | None = None

    @property
    def right(self) -> bool:
        """Whether it can be served."""
        return self.config is not None


def name_warnings(zone: str) -> list[str]:
    """The lines that CoreDNS prints before a zone with an unusual name. They are not log lines, as in CoreDNS."""
    spelled = zone.replace("\\", "\\\\").replace('"', '\\"')
    return [] if is_preferred(zone) else [f'Warning: Domain "{spelled}" does not follow RFC1035 preferred syntax']


def check(load: Callable[[Mistakes], ServerConfig]) -> Report:
    """Read a Corefile, and the files that its plugins read. load collects mistakes in its argument."""
    mistakes = Mistakes(keep=True)
    report = Report(mistakes)
    with mistakes.noted():
        config = load(mistakes)
        look = Check(config, SkippedLines(), mistakes)
        for plugin in named(config):
            plugin.check(look)
        report.warnings += [*config.warnings, *look.warnings]
        report.differences += differences(named(config))
        report.config = None if mistakes.found else config
    mistakes.found.sort(key=_place)
    return report


def _place(error: FastdnsError) -> tuple[str, int]:
    return (error.file, error.line) if isinstance(error, CorefileError) else ("", 0)


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


def as_json(report: Report) -> str:
    """The report as JSON. Every key is always there."""
    config = report.config
    made = {
        "right": report.right,
        "problems": [_problem(error) for error in report.mistakes.found],
        "problems_left_out": report.mistakes.left_out,
        "warnings": report.warnings,
        "differences": [{"plugin": each.plugin, "text": each.text} for each in report.differences],
        "listeners": [] if config is None else [
            {
                "transport": listener.transport, "address": listener.address, "port": listener.port,
                "zones": [
                    {
                        "zone": zone, "view": config.blocks[index].settings.view,
                        "plugins": list(config.blocks[index].plugins),
                        "file": config.blocks[index].file, "line": config.blocks[index].line,
                    }
                    for zone, index in listener.zones
                ],
            }
            for listener in config.listeners
        ],
        "sha512": None if config is None else config.sha512,
    }  # fmt: skip
    return json.dumps(made, indent=2)


def _problem(error: FastdnsError) -> dict[str, Any]:
    if isinstance(error, CorefileError):
        place = {"file": error.file or None, "line": error.line or None}
        return {**place, "plugin": error.plugin, "message": error.message}
    return {"file": None, "line": None, "plugin": None, "message": str(error)}
