"""Observers: which plugins of a block look on while another plugin of it asks other servers.

What an observer is told: serve/_exchanges.pxd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdns.corefile.model import ServerBlock
from fastdns.plugins.api import Runtime
from fastdns.plugins.order import load
from fastdns.plugins.values import value_of

if TYPE_CHECKING:
    from fastdns.serve._exchanges import BlockObservers


def observers_of(block: ServerBlock, runtime: Runtime, named: str) -> BlockObservers:
    """The observers of a block; often none. named: the value that names the servers that are asked."""
    from fastdns.serve._exchanges import BlockObservers

    found = (load(plugin).observer(config, block, runtime) for plugin, config in block.plugins.items())
    observers = [one for one in found if one is not None]
    return BlockObservers(observers, value_of(named, block, runtime) if observers else None)
