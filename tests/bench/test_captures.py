"""Captures and binary query files: what is a query in them, and bytes that are none of these."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.bench.captures import is_capture, read_capture, read_stream
from fastdns.bench.errors import BenchError
from fastdns.bench.exchange import query

A, B, C = query("a.example"), query("b.example", "TXT"), query("c.example")


def udp(message: bytes, port: int = 53) -> bytes:
    return struct.pack("!HHHH", 4000, port, 8 + len(message), 0) + message


def tcp(data: bytes, options: bytes = b"", port: int = 53) -> bytes:
    return struct.pack("!HHIIBBHHH", 4000, port, 0, 0, (5 + len(options) // 4) << 4, 0x18, 0, 0, 0) + options + data


def framed(*messages: bytes) -> bytes:
    return b"".join(len(one).to_bytes(2, "big") + one for one in messages)


def ipv4(segment: bytes, protocol: int = 17, fragment: int = 0, options: bytes = b"") -> bytes:
    size = 20 + len(options) + len(segment)
    head = struct.pack("!BBHHHBBHII", 0x45 + len(options) // 4, 0, size, 0, fragment, 64, protocol, 0, 1, 2)
    return head + options + segment


def ipv6(segment: bytes, protocol: int = 17, extension: bytes = b"") -> bytes:
    first = 0 if extension else protocol
    return struct.pack("!IHBB", 6 << 28, len(extension) + len(segment), first, 64) + bytes(32) + extension + segment


def ethernet(packet: bytes, protocol: bytes = b"\x08\0") -> bytes:
    # Frames have at least 60 bytes.
    return (bytes(12) + protocol + packet).ljust(60, b"\xee")


def pcap(packets: list[bytes], link: int = 1, order: str = "<", nanoseconds: bool = False) -> bytes:
    head = struct.pack(order + "IHHIIII", 0xA1B23C4D if nanoseconds else 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    return head + b"".join(struct.pack(order + "IIII", 0, 0, len(one), len(one)) + one for one in packets)


def block(kind: int, body: bytes, order: str) -> bytes:
    body = body + bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int, order: str) -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, 0), order)


def enhanced(packet: bytes, at: int, order: str) -> bytes:
    return block(6, struct.pack(order + "IIIII", at, 0, 0, len(packet), len(packet)) + packet, order)


def simple(packet: bytes, order: str) -> bytes:
    return block(3, struct.pack(order + "I", len(packet)) + packet, order)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_queries_of_a_pcap(order: str, nanoseconds: bool) -> None:
    packets = [
        ethernet(ipv4(udp(A))),
        ethernet(ipv4(udp(B), options=bytes(4)), b"\x81\0\0\5\x08\0"),
        ethernet(ipv6(udp(C)), b"\x88\xa8\0\5\x81\0\0\6\x86\xdd"),
        ethernet(ipv6(udp(A), extension=bytes((17, 1)) + bytes(14)), b"\x86\xdd"),
        ethernet(ipv4(tcp(framed(B, C), bytes(12)), protocol=6)),
        ethernet(ipv4(tcp(framed(A) + framed(B)[:-1]), protocol=6)),
    ]
    data = pcap(packets, order=order, nanoseconds=nanoseconds)
    assert is_capture(data)
    assert read_capture(data, "file") == [A, B, C, A, B, C, A]


@pytest.mark.parametrize(
    ("link", "before"),
    [
        (101, b""), (228, b""), (0, b"\2\0\0\0"), (108, b"\0\0\0\2"), (113, bytes(14) + b"\x08\0"),
        (276, b"\x08\0" + bytes(18)),
    ],
)
def test_links(link: int, before: bytes) -> None:
    assert read_capture(pcap([before + ipv4(udp(A))], link), "file") == [A]


@pytest.mark.parametrize("order", ["<", ">"])
def test_queries_of_a_pcapng(order: str) -> None:
    other = ">" if order == "<" else "<"
    data = b"".join([
        section(order), interface(1, order), interface(101, order),
        enhanced(ethernet(ipv4(udp(A))), 0, order), block(5, bytes(12), order), enhanced(ipv4(udp(B)), 1, order),
        section(other), interface(101, other), simple(ipv6(udp(C)), other),
    ])  # fmt: skip
    assert is_capture(data)
    assert read_capture(data, "file") == [A, B, C]


PASSED_OVER = {
    "a response": ipv4(udp(A[:2] + b"\x81" + A[3:])),
    "another port": ipv4(udp(A, port=5353)),
    "two questions": ipv4(udp(A[:5] + b"\2" + A[6:])),
    "a fragment": ipv4(udp(A), fragment=0x2000),
    "a later fragment": ipv4(udp(A), fragment=5),
    "ICMP": ipv4(udp(A), protocol=1),
    "a fragment of IPv6": ipv6(udp(A), protocol=44),
    "no IP": b"\x55" + ipv4(udp(A))[1:],
    "the middle of a stream": ipv4(tcp(framed(A)[5:]), protocol=6),
    "nothing": b"",
}


@pytest.mark.parametrize("packet", PASSED_OVER.values(), ids=PASSED_OVER)
def test_what_is_passed_over(packet: bytes) -> None:
    assert read_capture(pcap([packet, ipv4(udp(C))], 101), "file") == [C]
    assert read_capture(pcap([ipv4(udp(C)), packet], 101), "file") == [C]
    with pytest.raises(BenchError, match="file: no query to port 53 in the capture"):
        read_capture(pcap([packet], 101), "file")


WHOLE = [
    pcap([ethernet(ipv4(udp(A))), ethernet(ipv6(udp(B)), b"\x86\xdd")]),
    section("<") + interface(1, "<") + enhanced(ethernet(ipv4(tcp(framed(A)), protocol=6)), 0, "<"),
]


@pytest.mark.parametrize("whole", WHOLE, ids=["pcap", "pcapng"])
def test_a_part_of_a_capture_is_an_error_or_has_a_part_of_the_queries(whole: bytes) -> None:
    for size in range(4, len(whole)):
        try:
            assert set(read_capture(whole[:size], "file")) <= {A, B}
        except BenchError as error:
            assert str(error).startswith("file: ")


@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6))
def test_damage_is_an_error_or_passed_over(whole: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(whole)
    for at, value in changes:
        data[4 + at % (len(data) - 4)] = value
    with contextlib.suppress(BenchError):
        read_capture(bytes(data), "file")


def test_messages_as_on_a_stream() -> None:
    assert read_stream(framed(A, b"", b"x", B), "file") == [A, b"", b"x", B]
    for data, at in ((framed(A)[:-1], 0), (framed(A) + b"\0", len(A) + 2)):
        with pytest.raises(BenchError, match=f"file: byte {at}: a length of two bytes"):
            read_stream(data, "file")
    with pytest.raises(BenchError, match="file: no messages"):
        read_stream(b"", "file")


def test_text_is_no_capture(tmp_path: Path) -> None:
    assert not is_capture(b"a.example A\n")
    assert not is_capture(b"")
