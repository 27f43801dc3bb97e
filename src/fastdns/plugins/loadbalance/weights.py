"""The weight file of ``loadbalance weighted``: a domain name on a line, then lines of an address and its weight.

    # comment
    www.example.com
    100.64.1.1  3
    100.64.1.2  1
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastdns.corefile.values import read_text
from fastdns.dns.names import wire_name
from fastdns.errors import FastdnsError
from fastdns.skipped import SkippedLines

log = logging.getLogger("plugin/loadbalance")

MAX_WEIGHT = 255

Weights = list[tuple[bytes, bytes, int]]


@dataclass(frozen=True, slots=True)
class WeightFile:
    """What a file holds. weights: (owner wire form, address bytes, weight) of each line, in order.

    problems: what is wrong with other lines, in CoreDNS's words. Their addresses have the weight of those that are
    not in the file.
    """

    weights: Weights
    problems: tuple[str, ...] = ()

    @property
    def is_bad(self) -> bool:
        """Whether something is said in it, and nothing of it can be used."""
        return bool(self.problems) and not self.weights


def parse_weights(text: str, file: str) -> WeightFile:
    """Whatever can be read of a file: another program may write it, and a bad line costs nothing but itself.

    Owners match the names of answers byte for byte, as CoreDNS compares them.
    """
    weights: Weights = []
    problems: list[str] = []
    owner: bytes | None = None
    # What stands below a name that is none belongs to nobody.
    misplaced = "missing domain name {}: a line with a name alone comes first"
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        where = f"in weight file {file}:{number}"
        if len(words) == 1:
            if address_of(words[0]) is not None:
                problems.append(f'wrong domain name:"{words[0]}" {where}. (Maybe a missing weight value?)')
                continue
            try:
                owner = wire_name(words[0])
            except ValueError as error:
                problems.append(f'wrong domain name:"{words[0]}" {where}: {error}')
                owner = None
                misplaced = "the domain name above is wrong {}"
        elif len(words) == 2:
            address = address_of(words[0])
            if address is None:
                problems.append(f'wrong IP address:"{words[0]}" {where}')
            elif not is_weight(words[1]):
                problems.append(f'wrong weight value:"{words[1]}" {where}; 1 to {MAX_WEIGHT} expected')
            elif owner is None:
                problems.append(misplaced.format(where))
            else:
                weights.append((owner, address, int(words[1])))
        else:
            problems.append(f'could not parse weight line:"{line.strip()}" {where}; two words at most expected')
    return WeightFile(weights, tuple(f"{problem}; the line is skipped" for problem in problems))


def is_weight(word: str) -> bool:
    """Whether a word is a weight."""
    return word.isdecimal() and len(word) < 10 and 1 <= int(word) <= MAX_WEIGHT


def address_of(word: str) -> bytes | None:
    """The bytes of an IP address, None where it is none."""
    try:
        return ipaddress.ip_address(word).packed
    except ValueError:
        return None


def read_weights(path: str) -> str:
    """The text of a file of weights. Raises OSError where it cannot be read."""
    try:
        return read_text(path)
    except ValueError as error:
        raise OSError(errno.EFBIG, str(error)) from None


def check_weights(config: Any, skipped: SkippedLines) -> list[str]:
    """Reads the file before anything is served. Raises FastdnsError where it has lines and none can be used.

    A file that is not there is worth a warning, which is returned, where it is looked for again.
    """
    path = config.weight_file
    try:
        found = parse_weights(read_weights(path), path)
        if found.is_bad:
            raise FastdnsError(f"{found.problems[0]}, and no other is left: correct the file, or empty it")
        skipped.note(log, path, found.problems)
    except OSError as error:
        why = f"weight file open error: {config.weight_file}: {os.strerror(error.errno or 0)}"
        if not config.reload_s:
            raise FastdnsError(f"{why}; with reload 0 it is not looked for again") from None
        return [f"Failed to open weight file:{why}. Will try again in {config.reload_s:g}s"]
    return []


async def keep_weights(config: Any, step: Any, tell: Callable[[str, int], None] | None) -> None:
    """Give the step the file's weights, now and each time that it changes.

    Lines that cannot be used are skipped; a file that has no other ones, or is gone, leaves the last weights. tell:
    called with the file and how many lines are newly skipped; with None nothing is said, as another worker does.
    What was wrong when the first worker read the file, check_weights has said.
    """
    path = config.weight_file
    last: str | None = None
    complaint: str | None = None
    skipped = SkippedLines()
    while True:
        try:
            text = read_weights(path)
            if text != last:
                found = parse_weights(text, path)
                if not found.is_bad:
                    step.set_weights(found.weights)
                if last is None:
                    skipped.present[path] = frozenset(found.problems)
                elif tell is not None and (new := skipped.note(log, path, found.problems)):
                    tell(path, new)
                if found.is_bad and tell is not None and last is not None:
                    log.error("weight file %s: no valid line is left; the last valid weights stay in use", path)
                last = text
            complaint = ""
        except OSError as error:
            # That there is no file at first, check_weights has said.
            if tell is not None and str(error) != complaint and complaint is not None:
                log.error("weight file open error: %s; the last valid weights stay in use", error)
            complaint = str(error)
            # What it says once it is there is news.
            last = last or ""
        if not config.reload_s:
            return
        await asyncio.sleep(config.reload_s)
