"""From configurations to what workers run: filter and steps of each block, and the modules that they need."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.metrics.registry import python_row
from fastdns.plugins.api import Plugin, Runtime
from fastdns.plugins.order import in_python, load, named, place_of, used, with_step
from fastdns.plugins.values import value_of
from fastdns.transports import kinds

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeFilter, NativeStep
    from fastdns.serve.python._step import HandOver

# Of workers that have a step in Python. dnslib encodes names by way of encodings.idna.
PYTHON_MODULES = ("dnslib", "encodings.idna", "fastdns.plugins.messages", "fastdns.plugins.tasks")
NOTHING: Mapping[str, NativeStep] = {}


def build_steps(
    block: ServerBlock, runtime: Runtime, of_all: Mapping[str, NativeStep] = NOTHING
) -> dict[str, NativeStep]:
    """The steps of a block by plugin, in the order in which they run. Plugins that only configure have none.

    of_all: by plugin, the steps that stand in every block.
    """
    steps = {name: build_step(load(name), block, runtime) for name in with_step(block.plugins)}
    if not of_all:
        return steps
    # Before a plugin is behind all that come before it.
    places = {name: (place_of(name), 1) for name in steps}
    places |= {name: (place_of(load(name).in_all_before), 0) for name in of_all}
    both = {**steps, **of_all}
    return {name: both[name] for name in sorted(both, key=places.__getitem__)}


def steps_of_all(config: ServerConfig, runtime: Runtime) -> dict[str, NativeStep]:
    """By plugin, the steps that stand in every block of a configuration."""
    made = ((plugin.name, plugin.step_of_all(config, runtime)) for plugin in named(config))
    return {name: step for name, step in made if step is not None}


def build_step(plugin: Plugin, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The step of one plugin in a block; where its own is in Python, the one that stands for it in the chain."""
    config = block.plugins[plugin.name]
    if not plugin.is_in_python(config):
        return plugin.step(config, block, runtime)
    first_counter = runtime.first_counters.get(python_row(plugin.name), 0)
    step = plugin.python_step(config, block, runtime)
    return step.in_chain(plugin.name, first_counter, [value_of(name, block, runtime) for name in step.values])


def python_steps(config: ServerConfig, steps: Sequence[Mapping[str, NativeStep]]) -> list[tuple[int, HandOver]]:
    """Those of all blocks that stand for steps in Python, with the number of the block. steps: as build_steps has
    made them, of each block."""
    return [
        (number, cast("HandOver", step))
        for number, by_plugin in enumerate(steps)
        for name, step in by_plugin.items()
        if name in config.blocks[number].plugins and load(name).is_in_python(config.blocks[number].plugins[name])
    ]


def build_filters(config: ServerConfig, runtime: Runtime) -> dict[int, NativeFilter]:
    """By block, what decides whether it takes a query; of those that do not take every query of their zones."""
    found = {}
    for block in config.blocks:
        for name, options in block.plugins.items():
            plugin = load(name)
            if plugin.settings(options).view is not None:
                made = plugin.filter(options, block, runtime)
                if made is not None:
                    found[block.index] = made
    return found


def import_workers(config: ServerConfig) -> None:
    """Import what the workers of a configuration will use, before they are forked: they share its memory. Raises
    FastdnsError where the host lacks a library."""
    kinds.prepare({listener.transport for listener in config.listeners})
    for module in PYTHON_MODULES if in_python(config) else ():
        importlib.import_module(module)
    for plugin in used(config):
        folder = type(plugin).__module__.rpartition(".")[0]
        for module in plugin.worker_modules:
            importlib.import_module(module if module.startswith("fastdns.") else f"{folder}.{module}")
