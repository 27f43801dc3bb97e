"""What is done in a child of the supervisor: the memory that it takes is gone with it.

What these functions return goes through a pipe, as JSON.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fastdns.dns.names import wire_name
from fastdns.errors import FastdnsError
from fastdns.plugins.sign.config import Zone

# The server's own processes come first.
NICE = 19
# Files that are included by files that are included: one that includes itself ends here.
MAX_OPEN_FILES = 100


@dataclass(slots=True)
class Done:
    """What became of signing a zone. error: why it was not signed. is_written: the signed file is not the reason.

    tags: of the keys. serial: of the SOA record. said: what of the zone file is left out, the first of left_out.
    """

    error: str = ""
    is_written: bool = True
    tags: list[int] = field(default_factory=list)
    serial: int = 0
    expiration_s: int = 0
    elapsed_s: float = 0.0
    rrs: int = 0
    left_out: int = 0
    said: list[str] = field(default_factory=list)


def look_at(zones: Sequence[Zone]) -> list[tuple[str, int]]:
    """Of each zone, why it has to be signed or an empty text, and when its signatures expire or 0."""
    from fastdns.plugins.sign.rules import why_sign

    os.nice(NICE)
    now_s = int(time.time())
    return [why_sign(zone.signed_file, now_s) for zone in zones]


def check_keys(zones: Sequence[Zone]) -> str:
    """What is wrong with the keys of zones; or an empty text."""
    from fastdns.plugins.sign.keys import load_zone_keys

    try:
        for zone in zones:
            load_zone_keys(zone)
    except FastdnsError as error:
        return str(error)
    return ""


def sign(zone: Zone) -> dict[str, Any]:
    """Sign a zone. Returns the fields of a Done."""
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
    begin_s = time.monotonic()
    done = sign_now(zone, int(time.time()))
    done.elapsed_s = time.monotonic() - begin_s
    return asdict(done)


def sign_now(zone: Zone, now_s: int) -> Done:
    """Sign a zone, with this time."""
    from fastdns.plugins.sign.keys import load_zone_keys
    from fastdns.plugins.sign.rules import lifetime
    from fastdns.plugins.sign.signing import Signer, lines_of, names
    from fastdns.plugins.sign.writing import replace
    from fastdns.zonefiles.reading import read_zone

    done = Done()
    try:
        keys = load_zone_keys(zone)
        done.tags = [key.tag for key in keys]
        text = read_zone(zone.file, zone.name)
        done.said, done.left_out = text.said, text.left_out
    except OSError as error:
        done.error = f"open {zone.file}: {error.strerror}"
        return done
    except (FastdnsError, ValueError, MemoryError) as error:
        done.error = str(error) or type(error).__name__
        return done
    inception_s, done.expiration_s = lifetime(now_s)
    done.serial = now_s & 0xFFFFFFFF
    signer = Signer(wire_name(zone.name), keys, inception_s, done.expiration_s)
    try:
        replace(zone.signed_file, lines_of(names(text.rows), signer, done.serial))
    except (FastdnsError, OSError) as error:
        done.error, done.is_written = str(error), False
    done.rrs = signer.rrs
    return done
