"""What QUIC packets carry so that any worker knows whose they are: connection IDs, reset tokens, tokens of Retry.

All of it is made with one key, which the supervisor makes before it forks workers and keeps over reloads. So each
worker reads what another has made, and a worker that takes the place of a dead one can end its connections.
"""

from __future__ import annotations

import hmac
import os
import struct
from dataclasses import dataclass

# Of every connection ID that this server has chosen: its owner, random bytes, and a mark that only we can make.
OWNER = struct.Struct("!BH")
RANDOM_BYTES = 6
MARK_BYTES = 3
CID_BYTES = OWNER.size + RANDOM_BYTES + MARK_BYTES
# RFC 9000 section 10.3
RESET_TOKEN_BYTES = 16
TOKEN_MARK_BYTES = 16
# A client answers a Retry at once.
TOKEN_S = 10
CLOCK = struct.Struct("!I")

# Of this process and of those that it forks.
KEY = os.urandom(32)


@dataclass(frozen=True, slots=True)
class Owner:
    """A worker: its index, and the generation that it is of, modulo 65536."""

    index: int
    generation: int


def mark(purpose: bytes, data: bytes, size: int) -> bytes:
    """What only who has the key can make of data. purpose: so that marks of one kind are none of another."""
    return hmac.digest(KEY, purpose + data, "sha256")[:size]


def new_cid(owner: Owner) -> bytes:
    """A connection ID that tells its owner."""
    begin = OWNER.pack(owner.index & 0xFF, owner.generation & 0xFFFF) + os.urandom(RANDOM_BYTES)
    return begin + mark(b"cid", begin, MARK_BYTES)


def owner_of(cid: bytes) -> Owner | None:
    """Who has made a connection ID; None where this server has not, or where QUIC's library has chosen it."""
    if len(cid) != CID_BYTES or cid[-MARK_BYTES:] != mark(b"cid", cid[:-MARK_BYTES], MARK_BYTES):
        return None
    return Owner(*OWNER.unpack_from(cid))


def reset_token(cid: bytes) -> bytes:
    """What ends a connection whose keys are lost (RFC 9000 section 10.3)."""
    return mark(b"reset", cid, RESET_TOKEN_BYTES)


def retry_token(name: bytes, original: bytes, now_s: float) -> bytes:
    """What a client gives back to show that it is where it says (RFC 9000 section 8.1.2).

    name: its struct sockaddr. original: the destination of its first packet. now_s: of a clock of all workers.
    """
    body = CLOCK.pack(int(now_s) & 0xFFFFFFFF) + original
    return mark(b"retry", name + body, TOKEN_MARK_BYTES) + body


def read_retry_token(name: bytes, token: bytes, now_s: float) -> bytes | None:
    """The destination of the client's first packet; None where the token is not that client's, or is too old."""
    made, body = token[:TOKEN_MARK_BYTES], token[TOKEN_MARK_BYTES:]
    expected = mark(b"retry", name + body, TOKEN_MARK_BYTES)
    if len(body) < CLOCK.size or not hmac.compare_digest(expected, made):
        return None
    age_s = int(now_s) - CLOCK.unpack_from(body)[0] & 0xFFFFFFFF
    return body[CLOCK.size :] if age_s <= TOKEN_S else None

