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
import os
from pathlib import Path
from typing import Any

from fastdns.errors import FastdnsError
from fastdns.wire_names import wire_name

log = logging.getLogger("plugin/loadbalance")

MAX_WEIGHT = 255

Weights = list[tuple[bytes, bytes, int]]


def parse_weights(text: str, file: str) -> Weights:
    """(owner wire form, address bytes, weight) of each line. Raises FastdnsError in CoreDNS's words, with the line.

    Owners match the names of answers byte for byte, as CoreDNS compares them.
    """
    weights: Weights = []
    owner: bytes | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        where = f"in weight file {file}:{number}"
        if len(words) == 1:
            if address_of(words[0]) is not None:
                raise FastdnsError(f'wrong domain name:"{words[0]}" {where}. (Maybe a missing weight value?)')
            try:
                owner = wire_name(words[0])
            except ValueError as error:
                raise FastdnsError(f'wrong domain name:"{words[0]}" {where}: {error}') from None
        elif len(words) == 2:
            address = address_of(words[0])
            if address is None:
                raise FastdnsError(f'wrong IP address:"{words[0]}" {where}')
            if not words[1].isdecimal() or not 1 <= int(words[1]) <= MAX_WEIGHT:
                raise FastdnsError(f'wrong weight value:"{words[1]}" {where}; 1 to {MAX_WEIGHT} expected')
            if owner is None:
                raise FastdnsError(f"missing domain name {where}: a line with a name alone comes first")
            weights.append((owner, address, int(words[1])))
        else:
            raise FastdnsError(f'could not parse weight line:"{line.strip()}" {where}; two words at most expected')
    return weights


def address_of(word: str) -> bytes | None:
    """The bytes of an IP address, None where it is none."""
    try:
        return ipaddress.ip_address(word).packed
    except ValueError:
        return None


def read_weights(path: str) -> str:
    """The text of a file of weights. Raises FastdnsError where it is no text; OSError where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FastdnsError(f"weight file {path} parsing error:{error}") from None


def check_weights(config: Any) -> list[str]:
    """Reads the file before anything is served. Raises FastdnsError of what is wrong in it.

    A file that is not there is worth a warning, which is returned, where it is looked for again.
    """
    try:
        parse_weights(read_weights(config.weight_file), config.weight_file)
    except OSError as error:
        why = f"weight file open error: {config.weight_file}: {os.strerror(error.errno or 0)}"
        if not config.reload_s:
            raise FastdnsError(f"{why}; with reload 0 it is not looked for again") from None
        return [f"Failed to open weight file:{why}. Will try again in {config.reload_s:g}s"]
    return []


async def keep_weights(config: Any, step: Any) -> None:
    """Give the step the file's weights, now and each time that it changes. A bad file leaves the last good ones."""
    last: str | None = None
    complaint: str | None = None
    while True:
        try:
            text = read_weights(config.weight_file)
            if text != last:
                step.set_weights(parse_weights(text, config.weight_file))
                last = text
            complaint = ""
        except (OSError, FastdnsError) as error:
            # That there is no file at first, check_weights has said.
            if str(error) != complaint and not (complaint is None and isinstance(error, OSError)):
                log.error("%s; the last good weights are used", error)
            complaint = str(error)
        if not config.reload_s:
            return
        await asyncio.sleep(config.reload_s)
