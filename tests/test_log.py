"""Log lines in CoreDNS's format; too many of them, or a reader that is gone, never hold the server up."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

import pytest

from fastdns import log
from fastdns.log import LineFormatter, LineHandler


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def logger(fd: int) -> tuple[logging.Logger, LineHandler]:
    handler = LineHandler(fd)
    handler.setFormatter(LineFormatter())
    one = logging.Logger("plugin/test")
    one.addHandler(handler)
    return one, handler


def read(fd: int) -> list[str]:
    os.set_blocking(fd, False)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while part := os.read(fd, 65536):
            data += part
    return data.decode().splitlines()


@pytest.mark.parametrize(
    ("name", "level", "line"),
    [
        ("plugin/errors", logging.ERROR, "[ERROR] plugin/errors: 2 a.example. A: text"),
        ("fastdns", logging.INFO, "[INFO] 2 a.example. A: text"),
        ("fastdns.plugins", logging.WARNING, "[WARNING] 2 a.example. A: text"),
        ("plugin/kubernetes", logging.DEBUG, "[DEBUG] plugin/kubernetes: 2 a.example. A: text"),
    ],
)
def test_format(name: str, level: int, line: str) -> None:
    record = logging.LogRecord(name, level, "", 0, "%d %s A: text", (2, "a.example."), None)
    assert LineFormatter().format(record) == line


def test_an_exception_follows_its_line(pipe: tuple[int, int]) -> None:
    one, _ = logger(pipe[1])
    try:
        raise ValueError("a bug")
    except ValueError:
        one.exception("failed")
    lines = read(pipe[0])
    assert lines[0] == "[ERROR] plugin/test: failed"
    assert lines[-1] == "ValueError: a bug"


def test_what_is_no_text_is_replaced(pipe: tuple[int, int]) -> None:
    one, _ = logger(pipe[1])
    one.error("name %s", "\ud800")
    assert read(pipe[0]) == ["[ERROR] plugin/test: name ?"]


def test_lines_beyond_the_rate_are_counted(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(log.time, "monotonic", lambda: now)
    monkeypatch.setattr(log, "BURST_LINES", 3)
    one, handler = logger(pipe[1])
    handler.tokens = 3.0
    for number in range(8):
        one.error("%d", number)
    assert [line[-1] for line in read(pipe[0])] == ["0", "1", "2"]
    now += 0.01
    one.error("later")
    said = "[WARNING] 5 log lines left out: more than 100 a second, or nobody read them"
    assert read(pipe[0]) == [said, "[ERROR] plugin/test: later"]


def test_a_full_pipe_loses_lines_and_never_waits(pipe: tuple[int, int]) -> None:
    one, handler = logger(pipe[1])
    for number in range(900):
        one.error("%d %s", number, "x" * 200)
    assert handler.left_out > 100
    kept = read(pipe[0])
    assert [line.split()[2] for line in kept] == [str(number) for number in range(len(kept))]
    one.error("again")
    assert read(pipe[0])[-1] == "[ERROR] plugin/test: again"


def test_a_long_text_on_a_full_pipe(pipe: tuple[int, int]) -> None:
    one, _ = logger(pipe[1])
    one.error("%s", "x" * 1_000_000)
    assert 4096 <= len(read(pipe[0])[0]) < 1_000_000


def test_a_reader_that_is_gone(pipe: tuple[int, int]) -> None:
    one, _ = logger(pipe[1])
    os.close(pipe[0])
    one.error("nobody hears")
