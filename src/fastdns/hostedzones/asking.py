"""Has a child process list hosted zones, into drafts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass

from fastdns.dns.names import wire_name
from fastdns.errors import SourceError
from fastdns.hostedzones.config import HostedZone, Listing
from fastdns.rrsets._draft import Draft, layer_name
from fastdns.zonefiles.asking import drafts_of
from fastdns.zonefiles.frames import Read

# An answer of a server may be quoted in an error.
MAX_ERROR_CHARACTERS = 500
HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Place:
    """A hosted zone, and where it is in the store: see _step.pyx."""

    hosted: HostedZone
    layer: int = 0

    @property
    def place(self) -> str:
        """Where the zone comes from."""
        return str(self.hosted)

    @property
    def stored_as(self) -> bytes:
        """What a ZoneWriter calls it."""
        return layer_name(wire_name(self.hosted.zone), self.layer)

    def draft(self) -> Draft:
        """What its RRs are put into."""
        return Draft(wire_name(self.hosted.zone), self.layer)


async def list_zones(
    module: str, listing: Listing, places: Sequence[Place]
) -> AsyncGenerator[tuple[Place, Read, Draft], None]:
    """List hosted zones: where one is, what became of it, and its zone, in order for a ZoneWriter.

    module: of the plugin, which calls child.main. The event loop goes on meanwhile. Raises SourceError if listing
    fails as a whole. No text has a secret in it.
    """
    asked = {
        "parent": os.getpid(),
        "access": asdict(listing.access),
        "zones": [[place.hosted.zone, place.hosted.id] for place in places],
    }
    secrets = listing.secrets()
    command = (sys.executable, "-m", module)
    try:
        async with aclosing(drafts_of(command, json.dumps(asked).encode(), places, "hosted zones")) as drafts:
            async for place, read, draft in drafts:
                read.error = without(read.error, secrets)[:MAX_ERROR_CHARACTERS]
                read.said = [without(line, secrets) for line in read.said]
                yield place, read, draft
    except SourceError as error:
        raise SourceError(without(str(error), secrets)[:MAX_ERROR_CHARACTERS]) from None


def without(text: str, secrets: Iterable[str]) -> str:
    """A text in which nobody reads a secret."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text
