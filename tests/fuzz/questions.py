"""Questions for names that are there, or nearly; and what must hold of each reply, whatever the data says."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

from tests.fuzz.findings import Finding
from tests.fuzz.packets import mangled
from tests.fuzz.queries import check
from tests.fuzz.replies import Broken, walk

Serve = Callable[..., bytes | None]

LABELS = (b"a", b"*", b"WWW", b"_tcp", b"x" * 63, b"\0", b"\xff.", b"10-0-0-1", b"\0\0\5\xaa")
# Types that something looks at, and others.
QTYPES = (
    1,
    1,
    1,
    1,
    2,
    5,
    6,
    12,
    12,
    15,
    16,
    28,
    28,
    28,
    33,
    35,
    39,
    43,
    46,
    47,
    48,
    50,
    51,
    64,
    65,
    251,
    252,
    255,
    257,
    65400,
)
DO = 0x8000


def near(rng: random.Random, name: bytes) -> bytes:
    """A name, or one above, below or beside it. In wire form."""
    kind = rng.randrange(8)
    if kind == 0 and name[0]:
        name = name[1 + name[0] :]
    elif kind == 1:
        name = b"".join(bytes((len(label),)) + label for label in rng.choices(LABELS, k=rng.randrange(1, 4))) + name
    elif kind == 2 and name[0]:
        label = rng.choice(LABELS)
        name = bytes((len(label),)) + label + name[1 + name[0] :]
    elif kind == 3:
        name = bytes(byte ^ 0x20 if 65 <= byte & 0xDF <= 90 else byte for byte in name)
    return name if len(name) <= 255 else b"\0"


def question(rng: random.Random, names: Sequence[bytes]) -> bytes:
    """A query for one of the names, in wire form, or one near to it."""
    name = near(rng, rng.choice(names))
    head = struct.pack(">HHHHHH", rng.getrandbits(16), rng.choice((0, 0x100, 0x110, 0x120)), 1, 0, 0, 0)
    wire = head + name + struct.pack(">HH", rng.choice(QTYPES), rng.choice((1,) * 20 + (3, 255)))
    if rng.random() < 0.5:
        wire = wire[:11] + b"\1" + wire[12:] + b"\0" + struct.pack(
            ">HHIH", 41, rng.choice((0, 512, 1232, 65535)), rng.choice((0, DO, DO)), 0
        )  # fmt: skip
    return wire if rng.random() < 0.95 else mangled(rng, wire)


def ask(serve: Serve, rng: random.Random, names: Sequence[bytes]) -> bytes | None:
    """Ask one question. serve: as Worker.serve. Returns the reply. Raises Finding."""
    query = question(rng, names)
    tcp = rng.random() < 0.5
    reply = serve(query, tcp=tcp)
    try:
        check(query, reply, tcp=tcp)
        if reply is not None:
            walk(reply)
    except (Finding, Broken) as what:
        raise Finding(f"{what}: query {query.hex()}, tcp {tcp}, reply {(reply or b'').hex()}") from None
    return reply
