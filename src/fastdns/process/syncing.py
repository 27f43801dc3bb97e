"""Waiting for sources: a start for their listings, a reload for those of what is answered already."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from fastdns.corefile.mistakes import said_of
from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.plugins.order import named
from fastdns.process.server import Server

SYNC_POLL_S = 0.1
# At first: from a snapshot or from files it takes no longer than this.
FIRST_SYNC_POLL_S = 0.002
SYNC_LOG_S = 0.5
# How long a reload waits for the listing of a source whose zones are answered from an old one meanwhile.
RELOAD_SYNC_S = 60.0


class NotListedError(FastdnsError):
    """A reload would forget what is known of a cluster. That ends by itself, so it is tried again."""


async def wait_for_sync(
    server: Server, config: ServerConfig, numbers: list[int], is_enough: Callable[[list[int]], bool]
) -> None:
    """Wait for what is enough of the sources, for each as long as its plugin's startup_timeout allows.

    Raises what one of them has refused.
    """
    limits_s = {
        plugin.name: max(plugin.startup_timeout_s(options) for _, options in config.with_plugin(plugin.name))
        for plugin in named(config)
    }
    begun = time.monotonic()
    said = begun
    waiting = numbers
    while waiting := [number for number in waiting if not is_enough([number])]:
        say_refused(server, config, numbers)
        now = time.monotonic()
        late = [one for one in waiting if now - begun >= limits_s[server.sources.known[one][0]]]
        for plugin in server.sources.plugins(late):
            if plugin.unlisted:
                logging.getLogger(f"plugin/{plugin.name}").warning("%s", plugin.unlisted)
        waiting = [number for number in waiting if number not in late]
        if now - said >= SYNC_LOG_S:
            said = now
            for plugin in server.sources.plugins(waiting):
                logging.getLogger(f"plugin/{plugin.name}").info("%s", plugin.waiting)
        if waiting:
            await asyncio.sleep(FIRST_SYNC_POLL_S if now - begun < 1 else SYNC_POLL_S)
    # What was sent before the store showed that all is there is read meanwhile.
    await asyncio.sleep(FIRST_SYNC_POLL_S)
    say_refused(server, config, numbers)


def say_refused(server: Server, config: ServerConfig, numbers: list[int]) -> None:
    """Raise what one of the sources has refused, with the place of its directive."""
    for (name, index), number in server.sources.by_block(config).items():
        if number in numbers and number in server.refused:
            with said_of(name, config.blocks[index]):
                raise FastdnsError(server.refused[number])


def forgotten(server: Server, config: ServerConfig) -> str:
    """The zones that are known now, and of which a configuration's sources know nothing yet, by plugin; "" for
    none.
    """
    old, new = (set(server.sources.by_block(one).values()) for one in (server.config, config))
    known = server.sources.zones(server.config, {number for number in old if server.known([number])})
    found = []
    for plugin in server.sources.plugins(sorted(new)):
        unlisted = {number for number in new if server.sources.known[number][0] == plugin.name}
        unlisted = {number for number in unlisted if not server.known([number])}
        if zones := sorted(known & server.sources.zones(config, unlisted)):
            found.append(f"plugin/{plugin.name}: {', '.join(zones)}")
    return "; ".join(found)


async def keep_what_is_known(server: Server, config: ServerConfig) -> None:
    """Wait until nothing would be forgotten: the old generation answers meanwhile. Raises NotListedError."""
    ends = time.monotonic() + RELOAD_SYNC_S
    while which := forgotten(server, config):
        if time.monotonic() >= ends:
            raise NotListedError(f"{which} could not be listed in time with the options of the new Corefile")
        await asyncio.sleep(SYNC_POLL_S)
