"""Values by name: which plugin of a block provides one, for the filter or the step that reads it.

What a value is in a query: serve/_values.pxd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdns.corefile.model import ServerBlock
from fastdns.errors import FastdnsError
from fastdns.plugins.api import Runtime
from fastdns.plugins.order import load

if TYPE_CHECKING:
    from fastdns.serve._values import BlockValue


def value_of(name: str, block: ServerBlock, runtime: Runtime) -> BlockValue:
    """The value of that name as it is read in a block: the same object each time.

    It is empty where no plugin of the block provides it, and where the block's settings have no value_zones. Where
    several plugins provide it, the last one of the order does. Raises FastdnsError for a value that is computed
    from itself.
    """
    from fastdns.serve._values import BlockValue

    key = (block.index, name)
    if key in runtime.values:
        known = runtime.values[key]
        if known is None:
            raise FastdnsError(f"{block.file}:{block.line}: the value {name} is computed from itself")
        return known
    runtime.values[key] = None
    try:
        provided = None
        zones = block.settings.value_zones
        for plugin, config in block.plugins.items() if zones is not None else ():
            provided = load(plugin).value(name, config, block, runtime) or provided
        found = BlockValue(provided, list(zones or ()))
    except BaseException:
        del runtime.values[key]
        raise
    runtime.values[key] = found
    return found
