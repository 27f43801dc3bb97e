"""The process that lists hosted zones: its provider's library and its memory are gone with it.

A plugin has a module that calls main. asking.py has what the process is given, and zonefiles/frames.py how it
answers: for each hosted zone rows of RRs, and then what became of it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Iterable
from typing import IO, Any

from fastdns.children import die_with_parent
from fastdns.hostedzones.config import HostedZone
from fastdns.hostedzones.records import RecordSet, collect
from fastdns.zonefiles.child import write, write_read
from fastdns.zonefiles.frames import ROWS, Read

# The server's own processes come first.
NICE = 5
# An answer without end is the process's end, not the machine's.
MAX_MEMORY_BYTES = 1 << 30

# Lists the record sets of a hosted zone, page by page. Raises whatever the provider's library raises.
Lister = Callable[[HostedZone], Iterable[RecordSet]]


def main(open_lister: Callable[[dict[str, Any]], Lister]) -> None:
    """Do what stdin asks. open_lister: is given the fields of the plugin's access (config.Listing)."""
    asked = json.load(sys.stdin)
    die_with_parent(asked["parent"])
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    # Only frames go there, whatever a library prints.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    lister: Lister | None = None
    for zone, its_id in asked["zones"]:
        try:
            lister = lister or open_lister(asked["access"])
            read = list_zone(HostedZone(zone, its_id), lister, out)
        except (Exception, MemoryError) as error:
            # A library may raise anything.
            read = Read(error=said_of(error))
        write_read(out, read)
    out.close()


def list_zone(zone: HostedZone, lister: Lister, out: IO[bytes]) -> Read:
    """List one hosted zone, and write its rows once all of it is known."""
    read, rows = collect(zone.zone, lister(zone))
    for batch in rows:
        write(out, ROWS, batch)
    return read


def said_of(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
