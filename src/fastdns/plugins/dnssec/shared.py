"""The keys and signatures of a configuration: read before the fork, kept across reloads while they fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import dns.name

from fastdns.corefile.mistakes import said_of
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.dns.signing_keys import Key
from fastdns.errors import FastdnsError
from fastdns.plugins.dnssec._signatures import Signatures
from fastdns.plugins.dnssec.config import FILE, MIN_CAPACITY, Config
from fastdns.plugins.dnssec.keys import load_key, load_keys
from fastdns.plugins.dnssec.signing import signature_bytes


@dataclass(frozen=True, slots=True)
class Shared:
    """What all workers share of a block."""

    block: int
    config: Config
    keys: tuple[Key, ...]
    signatures: Signatures


def look_at(config: Config) -> None:
    """Read the files of keys, and see whether each can sign. Raises FastdnsError."""
    keys = [load_key(source) for source in config.keys if source.source == FILE]
    fit(config, keys)
    if len(keys) == len(config.keys):
        new_signatures(config, keys)


def fit(config: Config, keys: Iterable[Key]) -> None:
    """See whether each key is of a zone that is signed, or of one above it. Raises FastdnsError."""
    zones = [dns.name.from_text(zone) for zone in config.zones]
    for key in keys:
        # As in CoreDNS, one key may sign several zones.
        if not any(zone.is_subdomain(key.zone) for zone in zones):
            raise FastdnsError(
                f"key {key.zone} (keyid: {key.tag}) can not sign any of the zones "
                f"{', '.join(config.zones)}"
            )


def new_signatures(config: Config, keys: Iterable[Key]) -> Signatures:
    """An empty table. Raises FastdnsError."""
    keys = tuple(keys)
    try:
        return Signatures(max(config.capacity, MIN_CAPACITY), signature_bytes(keys) if keys else 0)
    except (ValueError, OSError) as error:
        raise FastdnsError(f"cache_capacity {config.capacity}: {error}") from error


def share_signatures(config: ServerConfig, before: Iterable[Shared] = ()) -> tuple[Shared, ...]:
    """Those of each block that has the plugin; of those before, what fits. Raises FastdnsError."""
    free = list(before)
    found = []
    for block, options in config.with_plugin("dnssec"):
        with said_of("dnssec", block):
            keys = load_keys(options.keys)
            fit(options, keys)
            kept = next((one for one in free if one.config == options and one.keys == keys), None)
            if kept is not None:
                free.remove(kept)
            signatures = kept.signatures if kept is not None else new_signatures(options, keys)
        found.append(Shared(block.index, options, keys, signatures))
    return tuple(found)


def of_block(shared: Iterable[Shared], block: ServerBlock) -> Shared:
    """What a block has."""
    return next(one for one in shared if one.block == block.index)
