"""Datagrams of QUIC: first flights that are damaged, forged and repeated, and what breaks each rule once a true
handshake is over. Each connection is one hostile client beside one that is served all the while.
"""

from __future__ import annotations

import random
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.findings import Finding, LiveMemory
from tests.transports.support import frame

if TYPE_CHECKING:
    from tests.fuzz.quic_world import Client, Server

MESSAGE = bytes(2) + b"\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"
# Connections of one server, which then has to be as it was before the first.
CONNECTIONS = 25
# What a listener holds has to be held once before memory is looked at.
SETTLED_ROUNDS = 500
# QUIC's library sends nothing more before some time has passed.
ROUND_TRIP_S = 0.01
# Addresses from which nobody ever is established.
FORGED = [(f"198.51.100.{number}", 4433) for number in range(1, 250)]
VERSIONS = (0, 1, 0x6B3343CF, 0x1A2A3A4A, 0xFF00001D)
# A SETTINGS frame without settings, and the fields of a POST, as QPACK has them without a dynamic table.
H3_SETTINGS = b"\4\0"
H3_POST = b"\0\0\xd4\xd7\x50\x0bdns.example\x51\x0a/dns-query\x5f\x1d\x17application/dns-message"


def fuzz_quic(count: int, seed: int) -> int:
    """Be count hostile clients; returns how many questions beside them were answered. Raises Finding."""
    # The package is not everywhere.
    from tests.fuzz.quic_world import serving

    rng = random.Random(seed)
    memory = LiveMemory(SETTLED_ROUNDS)
    answered = 0
    with tempfile.TemporaryDirectory() as folder:
        for begin in range(0, count, CONNECTIONS):
            h3 = rng.random() < 0.5
            with serving(Path(folder), rng, h3=h3) as server:
                for number in range(begin, min(count, begin + CONNECTIONS)):
                    try:
                        answered += hostile(rng, server, h3=h3)
                    except Finding as finding:
                        raise Finding(f"{finding}; connection {number} of seed {seed}") from finding.__cause__
                    memory.look(number)
                try:
                    server.rest()
                except Finding as finding:
                    raise Finding(f"{finding}; connections {begin} to {number} of seed {seed}") from None
    return answered


def hostile(rng: random.Random, server: Server, *, h3: bool) -> int:
    """One hostile client, and one that asks meanwhile. Returns how many questions of that one were answered."""
    from tests.fuzz.quic_world import Client

    alpn = "h3" if h3 else "doq"
    good = Client(server, ("192.0.2.1", rng.randrange(1024, 65536)), alpn)
    exchange(server, good, good.begin())
    if not good.shaken:
        raise Finding("a client is not served")
    rude = Client(server, ("192.0.2.2", rng.randrange(1024, 65536)), alpn)
    choice = rng.random()
    if choice < 0.3:
        first_flights(rng, server, rude)
    else:
        exchange(server, rude, rude.begin(), lose=lossy(rng) if rng.random() < 0.3 else None)
        if rude.shaken and choice < 0.65:
            streams(rng, server, rude, h3=h3)
        elif rude.shaken:
            frames(rng, server, rude)
    hand_over(rng, server)
    server.answer_late(rng.choice((0, 1, 20)))
    asked = ask_h3 if h3 else ask_doq
    answered = sum(asked(server, good) for _ in range(2))
    for one in (good, rude):
        if one._core is not None and rng.random() < 0.7:
            one.close()
            exchange(server, one, one.flight())
    server.go_on(rng.choice((0.0, 0.01, 1.0, 4.0)))
    return answered


def exchange(
    server: Server,
    client: Client,
    flight: list[bytes],
    *,
    lose: Callable[[list[bytes]], list[bytes]] | None = None,
    turns: int = 12,
) -> None:
    """Send a client's datagrams, and pass on what both say after them."""
    for _ in range(turns):
        for data in lose(flight) if lose is not None else flight:
            server.take(data, client.name)
        server.go_on(ROUND_TRIP_S)
        for data, name in server.sent():
            if name == client.name and not client.over:
                client.take(data)
        flight = client.time_passes()
        if not flight and lose is None:
            return


def lossy(rng: random.Random) -> Callable[[list[bytes]], list[bytes]]:
    """A network that loses, repeats, changes and reorders."""

    def lose(datagrams: list[bytes]) -> list[bytes]:
        found = []
        for data in datagrams:
            found += [data] * rng.choice((0, 1, 1, 1, 1, 2))
            if rng.random() < 0.2:
                found.append(damaged(rng, data))
        if rng.random() < 0.3:
            rng.shuffle(found)
        return found

    return lose


def damaged(rng: random.Random, data: bytes) -> bytes:
    """With some bytes that are others, or with an end that is missing, or behind others."""
    changed = bytearray(data)
    for _ in range(rng.choice((0, 1, 3, 8))):
        # Mostly of the header.
        changed[rng.randrange(min(len(changed), rng.choice((8, 30, 1500))))] = rng.randrange(256)
    choice = rng.random()
    if choice < 0.2:
        return bytes(changed[: rng.randrange(1, len(changed) + 1)])
    if choice < 0.3:
        return bytes(changed) + data[: rng.randrange(len(data))]
    return bytes(changed)


def first_flights(rng: random.Random, server: Server, client: Client) -> None:
    """Handshakes that begin, from addresses that nobody is at."""
    from fastdns.transports.socket_names import name_of

    flight = client.begin()
    replies: list[bytes] = []
    for _ in range(rng.choice((1, 10, 60))):
        name = name_of(rng.choice(FORGED)) if rng.random() < 0.8 else client.name
        for data in list(flight):
            choice = rng.random()
            if choice < 0.3:
                data = damaged(rng, data)
            elif choice < 0.5:
                # Another connection, whose packet cannot be decrypted, or one of ours.
                cid = rng.choice((rng.randbytes(8), rng.choice(list(server.workers[0].by_cid) or [b""])))
                data = data[:5] + bytes([len(cid)]) + cid + data[6 + data[5] :]
            elif choice < 0.6:
                data = data[:1] + rng.choice(VERSIONS).to_bytes(4) + data[5:]
            elif choice < 0.7:
                data = with_token(rng, data, replies)
            elif choice < 0.75:
                # Without an ID of its own.
                data = data[: 6 + data[5]] + b"\0" + data[7 + data[5] + data[6 + data[5]] :]
                data += bytes(max(0, 1200 - len(data)))
            elif choice < 0.8:
                data = rng.randbytes(rng.choice((1, 20, 200, 1200)))
            server.take(data, name, rng.randrange(2))
        if rng.random() < 0.3:
            server.go_on(rng.choice((0.0, 0.0, 0.1, 2.0)))
            replies = [data for data, _ in server.sent()] or replies
    server.go_on()


def with_token(rng: random.Random, data: bytes, replies: list[bytes]) -> bytes:
    """A first packet with a token that somebody else was given, or that nobody was."""
    from tests.fuzz.quic_world import is_retry

    retries = [one for one in replies if is_retry(one)]
    token = rng.randbytes(rng.choice((0, 1, 15, 16, 28, 300)))
    if retries:
        retry = rng.choice(retries)
        at = 6 + retry[5]
        token = retry[at + 1 + retry[at] : -16]
        if rng.random() < 0.5:
            token = damaged(rng, token)
    at = 7 + data[5] + data[6 + data[5]]
    return data[:at] + (0x4000 | len(token)).to_bytes(2) + token + data[at + 1 :]


def streams(rng: random.Random, server: Server, client: Client, *, h3: bool) -> None:
    """Streams with what breaks the rules, now and then or often: cut, ended, reset, stopped, without an end."""
    from tests.fuzz.quic_world import OWN_ERRORS

    believe(client)
    lose = lossy(rng) if rng.random() < 0.3 else None
    # Most of what breaks a rule ends the connection.
    rude = rng.choice((0.0, 0.01, 0.01, 0.3))
    reset, stopped, whole = (rng.choice((0.0, 0.1, 1.0)) for _ in range(3))
    for _ in range(rng.choice((1, 5, 20))):
        if client.over:
            return
        for _ in range(rng.choice((1, 5, 40))):
            try:
                stream = client.get_next_available_stream_id(rng.random() < rude)
                data = h3_request(rng) if h3 else frame(doq_question(rng))
                if rng.random() < rude:
                    data = h3_junk(rng) if h3 else doq_junk(rng)
                ended = rng.random() < whole or rng.random() < 0.9
                cut = len(data) if ended and rng.random() >= rude else rng.randrange(len(data) + 1)
                client.send_stream_data(stream, data[:cut], ended)
                if rng.random() < reset:
                    client.reset_stream(stream, rng.randrange(1 << 30))
                if rng.random() < stopped:
                    client.stop_stream(stream, rng.randrange(1 << 30))
                # qh3's client refuses it before it knows that the server has its handshake.
                if rng.random() < 0.01 and client._handshake_confirmed:
                    client.request_key_update()
            except OWN_ERRORS:
                break
        exchange(server, client, client.flight(), lose=lose, turns=rng.choice((1, 3)))


def believe(client: Client) -> None:
    """Make a client think that the server bounds nothing."""
    client._core.apply_peer_transport_parameters(*[1 << 30] * 4, 9999, 9999, 3, 0.025, 10.0, None)


def doq_question(rng: random.Random) -> bytes:
    """A message that may be asked over QUIC."""
    return MESSAGE + rng.randbytes(rng.choice((0, 0, 40, 3000)))


def doq_junk(rng: random.Random) -> bytes:
    """What a stream may not bring: several messages, more than its length says or may be, no message."""
    message = doq_question(rng)
    return rng.choice(
        (
            frame(message) * rng.randrange(2, 40), rng.randrange(65536).to_bytes(2) + message,
            frame(rng.randbytes(65000)) + rng.randbytes(9000), rng.randbytes(rng.randrange(1, 40)),
            frame(rng.randbytes(30)), damaged(rng, frame(message)),
        )
    )  # fmt: skip


def integer(value: int) -> bytes:
    """RFC 9000 section 16."""
    for size, bits in ((1, 0), (2, 1), (4, 2)):
        if value < 1 << (8 * size - 2):
            return (value | bits << (8 * size - 2)).to_bytes(size)
    return (value | 3 << 62).to_bytes(8)


def h3_frame(kind: int, payload: bytes) -> bytes:
    return integer(kind) + integer(len(payload)) + payload


def h3_request(rng: random.Random) -> bytes:
    """A POST; at times with other frames or fields, which a server passes over or refuses."""
    extra = h3_frame(0x21, rng.randbytes(rng.randrange(40))) if rng.random() < 0.2 else b""
    fields = H3_POST
    if rng.random() < 0.1:
        # A name and a value as they are, of so many bytes.
        size = rng.choice((10, 3000, 20_000))
        fields += b"\x27\x01" + b"x" * 8 + b"\x7f" + prefixed(size, 127) + rng.choice((b"y", b"y", b"\n")) * size
    content = doq_question(rng)
    at = rng.randrange(len(content))
    return extra + h3_frame(1, fields) + extra + h3_frame(0, content[:at]) + h3_frame(0, content[at:])


def prefixed(value: int, full: int) -> bytes:
    """The rest of a number whose prefix is full (RFC 7541 section 5.1)."""
    found = bytearray()
    value -= full
    if value < 0:
        return b"\0"
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def h3_junk(rng: random.Random) -> bytes:
    """Frames in any order, instructions of QPACK, control streams, no frames."""
    kinds = (0, 0, 1, 1, 2, 3, 4, 5, 7, 13, 0x21, 0x40 + rng.randrange(1 << 14), (1 << 62) - 1)
    any_frames = b"".join(
        h3_frame(rng.choice(kinds), rng.choice((H3_POST, rng.randbytes(rng.choice((0, 3, 40, 2000))))))
        for _ in range(rng.randrange(1, 30))
    )
    unidirectional = integer(rng.choice((0, 0, 1, 2, 3, 0x21)))
    return rng.choice(
        (
            any_frames, damaged(rng, h3_request(rng)), rng.randbytes(rng.randrange(1, 60)),
            unidirectional + rng.choice((H3_SETTINGS, h3_frame(4, rng.randbytes(30)), h3_frame(7, b"\0") * 50)),
            unidirectional + rng.randbytes(50), unidirectional + H3_SETTINGS + any_frames,
        )
    )  # fmt: skip


FRAMES: dict[int, Callable[[random.Random], bytes]] = {
    # PADDING, PING, HANDSHAKE_DONE, IMMEDIATE_ACK and what no frame has.
    0x00: lambda rng: bytes(rng.randrange(30)),
    0x01: lambda rng: b"\x01" * rng.randrange(1000),
    0x1E: lambda rng: b"",
    0x1F: lambda rng: b"",
    0xAF: lambda rng: rng.randbytes(4),
    # ACK of what was never sent, of much, with many ranges.
    0x02: lambda rng: integer(any_number(rng)) + integer(0) + integer(n := rng.randrange(30)) + integer(0)
    + b"".join(integer(any_number(rng)) for _ in range(2 * n)),
    0x03: lambda rng: b"".join(integer(rng.randrange(5)) for _ in range(7)),
    # RESET_STREAM, STOP_SENDING
    0x04: lambda rng: b"".join(integer(one) for one in (any_stream(rng), any_number(rng), any_number(rng))),
    0x05: lambda rng: integer(any_stream(rng)) + integer(any_number(rng)),
    # CRYPTO, NEW_TOKEN
    0x06: lambda rng: integer(any_number(rng)) + counted(rng.randbytes(rng.choice((0, 9, 900)))),
    0x07: lambda rng: counted(rng.randbytes(rng.choice((0, 9, 900)))),
    # STREAM with offset, length and end, or without
    0x08: lambda rng: integer(any_stream(rng)) + frame(MESSAGE),
    0x0A: lambda rng: integer(any_stream(rng)) + counted(frame(MESSAGE)),
    0x0B: lambda rng: integer(any_stream(rng)) + counted(frame(MESSAGE)),
    0x0E: lambda rng: integer(any_stream(rng)) + integer(any_number(rng)) + counted(frame(MESSAGE)),
    0x0F: lambda rng: integer(any_stream(rng)) + integer(any_number(rng)) + counted(frame(MESSAGE)),
    # MAX_DATA to STREAMS_BLOCKED
    **{
        kind: (lambda rng: integer(any_number(rng)))
        for kind in (0x10, 0x12, 0x13, 0x14, 0x16, 0x17, 0x19)
    },
    **{kind: (lambda rng: integer(any_stream(rng)) + integer(any_number(rng))) for kind in (0x11, 0x15)},
    # NEW_CONNECTION_ID
    0x18: lambda rng: integer(rng.randrange(9)) + integer(rng.randrange(9))
    + bytes([n := rng.choice((0, 8, 8, 20, 21))]) + rng.randbytes(n + 16),
    # PATH_CHALLENGE, PATH_RESPONSE
    0x1A: lambda rng: rng.randbytes(8),
    0x1B: lambda rng: rng.randbytes(8),
    # CONNECTION_CLOSE
    0x1C: lambda rng: integer(any_number(rng)) + integer(0) + counted(b"why"),
    0x1D: lambda rng: integer(any_number(rng)) + counted(b"why"),
    # DATAGRAM
    0x30: lambda rng: b"",
    0x31: lambda rng: counted(rng.randbytes(20)),
}  # fmt: skip
ENDS = (0x1C, 0x1D)


def counted(data: bytes) -> bytes:
    return integer(len(data)) + data


def any_stream(rng: random.Random) -> int:
    return rng.choice((0, 4, 8, 400, rng.randrange(256), rng.randrange(1 << 20), (1 << 62) - 1))


def any_number(rng: random.Random) -> int:
    return rng.choice((0, 1, rng.randrange(100), rng.randrange(1 << 16), rng.randrange(1 << 62), (1 << 62) - 1))


def payloads(rng: random.Random) -> Iterator[bytes]:
    """Frames of packets: of any kind, or a flood of one kind."""
    flood = rng.choice(list(FRAMES)) if rng.random() < 0.6 else 0x01
    other = rng.choice((0.0, 0.01, 0.5))
    for _ in range(rng.choice((1, 10, 60))):
        payload = b""
        for _ in range(rng.choice((1, 3, 60))):
            kind = rng.choice(list(FRAMES)) if rng.random() < other else flood
            if kind in ENDS and rng.random() < 0.8:
                kind = 0x01
            made = integer(kind) + FRAMES[kind](rng)
            if rng.random() < 0.02:
                made = damaged(rng, made)
            if len(payload) + len(made) > 1300:
                break
            payload += made
        yield payload


def frames(rng: random.Random, server: Server, client: Client) -> None:
    """Packets of a connection with frames that no client sends; from elsewhere, and by way of another worker."""
    from fastdns.transports.socket_names import name_of

    cid = client.peer_cid
    phase = 0
    for payload in payloads(rng):
        if rng.random() < 0.02:
            phase ^= 1
        name = name_of(rng.choice(FORGED)) if rng.random() < 0.1 else client.name
        data = client.packet(payload, cid=cid, phase=phase)
        if rng.random() < 0.1:
            data = damaged(rng, data)
        server.take(data, name, int(rng.random() < 0.1))
        if rng.random() < 0.3:
            server.go_on(rng.choice((0.0, 0.0, 0.05, 1.0)))
    server.go_on()
    server.sent()


def hand_over(rng: random.Random, server: Server) -> None:
    """What strangers send to the socket on which workers hand datagrams over; and IDs of workers that are gone."""
    from fastdns.transports.quic_handover import name_of
    from fastdns.transports.quic_ids import Owner, new_cid
    from fastdns.transports.socket_names import name_of as address_name

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as stranger:
        for _ in range(rng.choice((0, 1, 5))):
            stranger.sendto(rng.randbytes(rng.choice((0, 1, 16, 17, 40, 1300, 5000))), name_of(Owner(0, 7)))
    for _ in range(rng.choice((0, 1, 5))):
        owner = Owner(rng.choice((0, 1, 2, 255)), rng.choice((6, 7, 8, 65535)))
        data = bytes([rng.choice((0x40, 0xC0, 0xE0)) | rng.randrange(16)])
        cid = new_cid(owner) if rng.random() < 0.8 else rng.randbytes(12)
        data += cid if data[0] < 0x80 else b"\0\0\0\1\x0c" + cid
        server.take(data + rng.randbytes(rng.randrange(60)), address_name(rng.choice(FORGED)), rng.randrange(2))
    server.go_on()


def ask_doq(server: Server, client: Client) -> int:
    """A question whose answer is known. Returns 1. Raises Finding."""
    return ask(server, client, frame(MESSAGE), frame(MESSAGE))


def ask_h3(server: Server, client: Client) -> int:
    """The same over HTTP/3."""
    return ask(server, client, h3_frame(1, H3_POST) + h3_frame(0, MESSAGE), MESSAGE)


def ask(server: Server, client: Client, data: bytes, end: bytes) -> int:
    """Send a question on a stream; its answer has to end so. Returns 1. Raises Finding."""
    stream = client.get_next_available_stream_id()
    client.send_stream_data(stream, data, True)
    exchange(server, client, client.flight())
    got = bytes(client.got[stream])
    if not got.endswith(end):
        raise Finding(f"a client beside a hostile one got {got!r}; its connection is over: {client._close_event}")
    return 1
