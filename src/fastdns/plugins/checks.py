"""What CoreDNS looks at when it sets a plugin up: the files and the account that its options name.

What is missing or wrong ends the start, and leaves a reload at the old configuration. Nothing is kept, and nothing
is connected to: a server that cannot be reached is waited for. Imports only what the Corefile uses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from fastdns.corefile.mistakes import Mistakes
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.errors import FastdnsError
from fastdns.skipped import SkippedLines


@contextlib.contextmanager
def said_of(name: str, block: ServerBlock) -> Iterator[None]:
    """Begin errors as CoreDNS does, and with the place of the plugin's directive."""
    try:
        yield
    except FastdnsError as error:
        file, line = block.places[name]
        raise FastdnsError(f"plugin/{name}: {file}:{line} - {error}") from None


def check_files(
    config: ServerConfig, skipped: SkippedLines | None = None, mistakes: Mistakes | None = None
) -> list[str]:
    """Reads the files that plugins will read. Returns warnings; raises FastdnsError. skipped: for bad lines.

    mistakes: where they are kept, all that is wrong is noted there, and nothing raised.
    """
    mistakes = mistakes or Mistakes()
    warnings: list[str] = []
    with mistakes.noted():
        check_stanzas(config)
    with mistakes.noted():
        check_snapshots(config)
    for block, options in config.with_plugin("loadbalance"):
        if options.weight_file is not None:
            from fastdns.plugins.loadbalance.weights import check_weights

            with mistakes.noted(), said_of("loadbalance", block):
                found = check_weights(options, skipped or SkippedLines())
                warnings += [f"plugin/loadbalance: {warning}" for warning in found]
    return warnings


def check_stanzas(config: ServerConfig) -> None:
    """Each forward has its place in the workers' tables. Raises FastdnsError for the first one that has none."""
    stanzas = [stanza for _, options in config.with_plugin("forward") for stanza in options.stanzas]
    if not stanzas:
        return
    from fastdns.plugins.forward.upstreams import MAX_STANZAS

    if len(stanzas) > MAX_STANZAS:
        over = stanzas[MAX_STANZAS]
        raise FastdnsError(
            f"plugin/forward: {over.file}:{over.line} - at most {MAX_STANZAS} are possible in a Corefile, got "
            f"{len(stanzas)}"
        )


def check_snapshots(config: ServerConfig) -> None:
    """Two clusters cannot share a snapshot. Raises FastdnsError. Blocks that are alike share one cluster."""
    blocks = list(config.with_plugin("kubernetes"))
    if not any(options.snapshot for _, options in blocks):
        return
    from fastdns.plugins.kubernetes.numbers import shared_snapshot

    found = shared_snapshot(blocks)
    if found is not None:
        first, second = found
        file, line = first.places["kubernetes"]
        options: Any = second.plugins["kubernetes"]
        with said_of("kubernetes", second):
            raise FastdnsError(
                f"the snapshot {options.snapshot} is that of the kubernetes at {file}:{line}, too; blocks "
                "whose options differ need one each"
            )


async def check_accounts(config: ServerConfig, environ: Mapping[str, str]) -> None:
    """Looks for what API servers are to be reached with, on this host. Raises FastdnsError."""
    for block, options in config.with_plugin("kubernetes"):
        if not options.manifests:
            from fastdns.plugins.kubernetes.api.connection import check

            with said_of("kubernetes", block):
                await check(options, environ=environ)
