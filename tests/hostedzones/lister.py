"""Plays the module of a plugin that lists hosted zones: what a file says becomes of each of them."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastdns.hostedzones import records
from fastdns.hostedzones.child import Lister, main
from fastdns.hostedzones.config import HostedZone
from fastdns.hostedzones.records import RecordSet


@dataclass(frozen=True)
class Access:
    """file: JSON, by id what to do: record sets, or a word and a text."""

    file: str
    secret: str = field(default="", repr=False)


def open_lister(access: Access) -> Lister:
    script = json.loads(Path(access.file).read_text())
    records.MAX_TEXT_BYTES = 1 << 20
    if "open" in script:
        raise ValueError(script["open"])

    def record_sets(zone: HostedZone) -> Iterator[RecordSet]:
        for one in script[zone.id]:
            if one[0] == "fail":
                raise RuntimeError(one[1])
            if one[0] == "die":
                sys.exit(one[1])
            if one[0] == "print":
                # As much as fills a pipe: a library may say more than anybody reads.
                print(one[1] * 100_000)
                os.write(2, one[1].encode() * 100_000 + b"\n")
            elif one[0] == "endless":
                while True:
                    yield RecordSet(zone.zone, "TXT", 5, ['"x"' * 10_000])
            elif one[0] == "hang":
                time.sleep(3600)
            else:
                yield RecordSet(*one)

    return record_sets


if __name__ == "__main__":
    main(lambda fields: open_lister(Access(**fields)))
