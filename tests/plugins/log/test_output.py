"""Lines to a reader that is slow, gone or shared with others: never waiting, never a torn line."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import multiprocessing
import os
import pty
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns.plugins.log import output
from fastdns.plugins.log.output import Output

WAYS = ("write_nowait", "write_own", "write_polled")
LINE = b"[INFO] " + b"x" * 100 + b"\n"


def numbered(count: int, width: int = 100) -> bytes:
    return b"".join(b"%0*d\n" % (width, number) for number in range(count))


def made(fd: int, way: str) -> Output:
    """An Output that has found out that it has to write so."""
    one = Output(fd)
    if way == "write_own":
        assert one.open_own()
    one.write_now = getattr(one, way)
    return one


def drain(fd: int) -> bytes:
    data = b""
    os.set_blocking(fd, False)
    with contextlib.suppress(BlockingIOError):
        while part := os.read(fd, 1 << 16):
            data += part
    return data


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


@pytest.mark.parametrize("way", WAYS)
def test_a_full_pipe_is_not_waited_for(pipe: tuple[int, int], way: str) -> None:
    one = made(pipe[1], way)
    lines = numbered(2000)
    begins = time.monotonic()
    assert not one.write(lines)
    assert not one.flush() and not one.flush()
    assert time.monotonic() - begins < 1
    data = drain(pipe[0])
    assert 0 < len(data) < len(lines) and data.endswith(b"\n")
    while not one.flush():
        data += drain(pipe[0])
    assert data + drain(pipe[0]) == lines
    assert one.written_bytes == len(lines) and one.lost_lines == 0
    one.close()


@pytest.mark.parametrize("way", WAYS)
def test_the_shared_description_stays_as_it_is(pipe: tuple[int, int], way: str) -> None:
    before = fcntl.fcntl(pipe[1], fcntl.F_GETFL)
    one = made(pipe[1], way)
    assert one.write(LINE)
    one.close()
    assert fcntl.fcntl(pipe[1], fcntl.F_GETFL) == before
    assert os.write(pipe[1], b"open\n") == 5


@pytest.mark.parametrize("way", WAYS)
def test_a_reader_that_is_gone_loses_lines_and_they_are_counted(pipe: tuple[int, int], way: str) -> None:
    one = made(pipe[1], way)
    os.close(pipe[0])
    assert one.write(LINE * 7)
    assert one.lost_lines == 7 and not one.pending
    one.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_line_longer_than_a_piece_is_written_whole(pipe: tuple[int, int], way: str) -> None:
    one = made(pipe[1], way)
    lines = b"a\n" + b"y" * 10_000 + b"\n" + b"b\n"
    assert one.write(lines)
    assert drain(pipe[0]) == lines
    one.close()


def write_many(fd: int, letter: bytes, way: str, count: int) -> None:
    one = made(fd, way)
    for _ in range(count):
        done = one.write((letter * 79 + b"\n") * 100)
        while not done:
            one.wait(1)
            done = one.flush()


@pytest.mark.parametrize("way", ["write_nowait", "write_own"])
def test_lines_of_several_processes_do_not_mix(pipe: tuple[int, int], way: str) -> None:
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=write_many, args=(pipe[1], letter, way, 100)) for letter in (b"a", b"b", b"c")]
    for writer in writers:
        writer.start()
    os.close(pipe[1])
    data = b""
    while part := os.read(pipe[0], 1000):
        data += part
    for writer in writers:
        writer.join()
    lines = data.decode().splitlines()
    assert len(lines) == 3 * 100 * 100
    assert set(lines) == {letter * 79 for letter in "abc"}


def test_a_file_takes_all_at_once(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        file.write(b"before\n")
        file.flush()
        one = Output(file.fileno())
        lines = numbered(10_000)
        assert one.write(lines)
        file.write(b"after\n")
    assert (tmp_path / "log").read_bytes() == b"before\n" + lines + b"after\n"


def test_a_full_disk_loses_lines() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        one = Output(full.fileno())
        assert one.write(LINE * 3)
        assert one.lost_lines == 3
        one.close()


def test_a_terminal(pipe: tuple[int, int]) -> None:
    master, terminal = pty.openpty()
    try:
        one = Output(terminal)
        assert one.write(b"a\nb\n")
        assert one.write_now in (one.write_own, one.write_nowait)
        assert drain(master) == b"a\r\nb\r\n"
        one.close()
    finally:
        os.close(master)
        os.close(terminal)


def test_a_socket_whose_reader_is_slow() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        one = Output(ours.fileno())
        lines = numbered(20_000)
        done = one.write(lines)
        assert not done
        theirs.setblocking(False)
        data = b""
        while not done or len(data) < len(lines):
            with contextlib.suppress(BlockingIOError):
                data += theirs.recv(1 << 16)
            done = one.flush()
        assert data == lines
        one.close()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
@pytest.mark.parametrize("may_open", [True, False])
def test_kernels_that_cannot_write_without_waiting(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, number: int, may_open: bool
) -> None:
    def refuse(*args: object) -> int:
        raise OSError(number, "no")

    monkeypatch.setattr(output.os, "pwritev", refuse)
    if not may_open:
        monkeypatch.setattr(output.os, "open", refuse)
    one = Output(pipe[1])
    assert one.write(LINE)
    assert one.write_now == (one.write_own if may_open else one.write_polled)
    assert not one.write(numbered(2000))
    assert drain(pipe[0]).startswith(LINE)
    one.close()


def test_room_is_waited_for_so_long_and_no_longer(pipe: tuple[int, int]) -> None:
    one = Output(pipe[1])
    assert one.wait(0)
    assert not one.write(numbered(2000))
    begins = time.monotonic()
    assert not one.wait(0.05)
    assert 0.04 < time.monotonic() - begins < 1
    os.read(pipe[0], 1 << 16)
    assert one.wait(1)


def test_pieces_are_whole_lines() -> None:
    assert select.PIPE_BUF == 4096
    read_end, write_end = os.pipe()
    try:
        one = Output(write_end)
        for width in (1, 100, 4094, 4095):
            one.pending = memoryview(numbered(100, width))
            assert 0 < one.piece() <= 4096
            assert bytes(one.pending[: one.piece()]).endswith(b"\n")
        one.pending = memoryview(numbered(1, 4096))
        assert one.piece() == 4096
    finally:
        os.close(read_end)
        os.close(write_end)
