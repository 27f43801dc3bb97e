"""The weight file of ``loadbalance weighted``: a domain name on a line, then lines of an address and its weight.

    # comment
    www.example.com
    100.64.1.1  3
    100.64.1.2  1
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from pathlib import Path
from typing import Any

from fastdns.errors import FastdnsError
from fastdns.wire_names import wire_name

log = logging.getLogger("plugin/loadbalance")

MAX_WEIGHT = 255

Weights = list[tuple[bytes, bytes, int]]


def parse_weights(text: str, file: str) -> Weights:
    """(owner wire form, address bytes, weight) of each line. Raises FastdnsError with file and line.

    Owners match the names of answers byte for byte, as CoreDNS compares them.
    """
    weights: Weights = []
    owner: bytes | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        where = f"{file}:{number} - "
        if len(words) == 1:
            try:
                owner = wire_name(words[0])
            except ValueError as error:
                raise FastdnsError(f"{where}{error}") from None
        elif len(words) == 2:
            if owner is None:
                raise FastdnsError(f"{where}missing domain name: a line with a name alone comes first")
            try:
                address = ipaddress.ip_address(words[0]).packed
            except ValueError:
                raise FastdnsError(f"{where}wrong IP address: {words[0]!r}") from None
            if not words[1].isdecimal() or not 1 <= int(words[1]) <= MAX_WEIGHT:
                raise FastdnsError(f"{where}wrong weight value: {words[1]!r}; 1 to {MAX_WEIGHT} expected")
            weights.append((owner, address, int(words[1])))
        else:
            raise FastdnsError(f"{where}a domain name, or an address and its weight expected, got {line.strip()!r}")
    return weights


def read_weights(path: str) -> Weights:
    """The weights of a file. Raises FastdnsError; OSError where the file cannot be read."""
    return parse_weights(Path(path).read_text(encoding="utf-8"), path)


async def keep_weights(config: Any, step: Any) -> None:
    """Give the step the file's weights, now and each time that it changes. A bad file leaves the last good ones."""
    last: str | None = None
    complaint = ""
    while True:
        try:
            text = Path(config.weight_file).read_text(encoding="utf-8")
            if text != last:
                step.set_weights(parse_weights(text, config.weight_file))
                last = text
            complaint = ""
        except (OSError, UnicodeDecodeError, FastdnsError) as error:
            if str(error) != complaint:
                complaint = str(error)
                log.error("%s; the last good weights are used", error)
        if not config.reload_s:
            return
        await asyncio.sleep(config.reload_s)
