"""The options of prometheus: where metrics are told, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import address, flag, one, read_options, store


@dataclass(frozen=True, slots=True)
class Config:
    """host: "" for every address. runtime_metrics: more about the processes.

    tls_config_file: a web configuration file of Prometheus's exporter toolkit, or None for plain HTTP.
    """

    host: str = "localhost"
    port: int = 9153
    runtime_metrics: bool = False
    tls_config_file: str | None = None


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError; once in a block."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        fields["host"], fields["port"] = address(d, ("localhost", 9153))
        read_options(d, OPTIONS, fields)
    if "tls_config_file" in fields:
        fields["tls_config_file"] = block.resolve(fields["tls_config_file"])
    return Config(**fields)


def _tls(d: Dispenser, fields: dict[str, Any]) -> None:
    if "tls_config_file" in fields:
        raise d.error("tls may be set only once")
    fields["tls_config_file"] = one(d, "a file")


OPTIONS = {"runtime_metrics": store("runtime_metrics", flag), "tls": _tls}
