"""autopath: completes names with the search path of clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext, search_path_of
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.corefile.values import read_text
from fastdns.dns.names import wire_name
from fastdns.dns.searchlist import search_list
from fastdns.errors import FastdnsError
from fastdns.plugins.api import Check, InSupervisor, Plugin, Runtime, SupervisorView
from fastdns.plugins.autopath.config import Config, parse
from fastdns.plugins.order import load

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.serve._search import NativeSearch
    from fastdns.serve._zones import NativeStep

# By file.
SearchLists = dict[str, tuple[bytes, ...]]


def read_search_list(path: str) -> tuple[bytes, ...]:
    """The search list of a file. Raises FastdnsError."""
    try:
        return search_list(read_text(path))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise FastdnsError(f"failed to parse {path!r}: {reason}") from None


class Searching(InSupervisor):
    """The search lists of files, read once for all workers; and what is counted."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor

    async def prepare(self, config: ServerConfig) -> SearchLists:
        files = {options.file for _, options in config.with_plugin("autopath") if options.file is not None}
        return {file: read_search_list(file) for file in files}

    def families(self) -> Iterator[Metric]:
        from fastdns.plugins.autopath.metrics import families

        return families(self.supervisor)


class Autopath(Plugin):
    """A step that asks the steps behind it for the names that a client would ask for."""

    name = "autopath"
    worker_modules = ("_step",)
    counters = ("success",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def context(self, config: Config, context: BlockContext) -> BlockContext:
        return context if config.plugin is None else context.asking(search_path_of(config.plugin))

    def check(self, check: Check) -> None:
        for block, config in check.config.with_plugin("autopath"):
            with check.of("autopath", block):
                if config.file is not None:
                    read_search_list(config.file)
                elif config.plugin not in block.plugins:
                    check.warnings.append(
                        f"plugin/autopath: the block at {block.file}:{block.line} has no plugin {config.plugin}: "
                        "no name is completed"
                    )
                elif not load(config.plugin).knows_search_paths:
                    raise FastdnsError(f"{config.plugin} does not know the search paths of clients")

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Searching(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.autopath._step import AutopathStep
        from fastdns.serve._search import FixedSearch

        search: NativeSearch | None = None
        if config.file is not None:
            search = FixedSearch(runtime.prepared["autopath"][config.file])
        elif config.plugin is not None and config.plugin in block.plugins:
            search = load(config.plugin).search(block.plugins[config.plugin], block, runtime)
        return AutopathStep([wire_name(zone) for zone in config.zones], search, runtime.first_counters["autopath"])


plugin = Autopath()
