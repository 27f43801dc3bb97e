"""The keys of a zone: key-signing keys, which sign all of it."""

from __future__ import annotations

import re
from pathlib import Path

from fastdns.dns.signing_keys import Key, load_files
from fastdns.errors import FastdnsError
from fastdns.plugins.sign.config import IN_FILES, MAX_KEYS, Zone


def load_zone_keys(zone: Zone) -> list[Key]:
    """The keys that sign a zone, each once. Raises FastdnsError."""
    found: dict[bytes, Key] = {}
    for source in zone.keys:
        here = [csk(source.path)] if source.source == IN_FILES else in_directory(source.path, zone.name)
        found.update((key.dnskey.to_wire() or b"", key) for key in here)
    if len(found) > MAX_KEYS:
        raise FastdnsError(f"{len(found)} keys for {zone.name}; at most {MAX_KEYS} sign a zone")
    return list(found.values())


def csk(base: str) -> Key:
    """The key in two files, which must have the SEP bit, as CoreDNS wants it. Raises FastdnsError."""
    key = load_files(base)
    if not key.is_sep:
        raise FastdnsError(f"DNSKEY in {base}.key is not a CSK/KSK: expected the flags 257")
    return key


def in_directory(directory: str, zone: str) -> list[Key]:
    """The keys of a zone in a directory, by the names that dnssec-keygen gives to their files. Those without the
    SEP bit are passed over: other signers keep theirs beside them. Raises FastdnsError."""
    name = re.compile(rf"(K{re.escape(zone.rstrip('.'))}\.?\+\d+\+\d+)\.key", re.IGNORECASE)
    try:
        matches = [name.fullmatch(file.name) for file in sorted(Path(directory).iterdir())]
    except OSError as error:
        raise FastdnsError(f"open {directory}: {error.strerror}") from error
    keys = [load_files(str(Path(directory) / match[1])) for match in matches if match]
    keys = [key for key in keys if key.is_sep]
    if not keys:
        raise FastdnsError(
            f"{directory} has no CSK/KSK for {zone}: expected files K{zone}+ALGORITHM+TAG.key and .private"
        )
    return keys
