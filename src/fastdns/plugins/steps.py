"""From configurations to what workers run: the native steps of each block, and the modules that they need."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.plugins.api import Runtime
from fastdns.plugins.order import load, used, with_step

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


def build_steps(block: ServerBlock, runtime: Runtime) -> dict[str, NativeStep]:
    """The steps of a block by plugin, in the order in which they run. Plugins that only configure have none."""
    return {name: load(name).step(block.plugins[name], block, runtime) for name in with_step(block.plugins)}


def import_workers(config: ServerConfig) -> None:
    """Import what the workers of a configuration will use, before they are forked: they share its memory."""
    for plugin in used(config):
        for module in plugin.worker_modules:
            importlib.import_module(f"{type(plugin).__module__.rpartition('.')[0]}.{module}")
