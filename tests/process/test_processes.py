"""Children that are ours for life, and what is said between us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastdns.errors import FastdnsError
from fastdns.process.processes import MAX_MESSAGE_BYTES, Channel, channel_pair, fork_child
from tests.support import ROOT, alive, open_fds, wait_until


def wait_for(channel: Channel) -> list[dict[str, object]]:
    """The messages of a child until it ends."""
    found: list[dict[str, object]] = []
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        messages = channel.receive()
        if messages is None:
            return found
        found += messages
        time.sleep(0.005)
    raise AssertionError("the child does not end")


# ----------------------------------------------------------------------------------------------- channel


def test_messages_arrive_whole_and_in_order() -> None:
    one, other = channel_pair()
    assert one.send(ready=True)
    assert one.send(metrics=[["x" * 50_000, [], [1.5]]])
    assert other.receive() == [{"ready": True}, {"metrics": [["x" * 50_000, [], [1.5]]]}]
    assert other.receive() == []
    one.send(drain=True)
    one.close()
    assert other.receive() == [{"drain": True}]
    assert other.receive() is None


def test_sending_never_waits() -> None:
    one, other = channel_pair()
    sent = 0
    while one.send(text="x" * 1000):
        sent += 1
        assert sent < 100_000
    assert sent > 100
    assert len(other.receive() or ()) == sent
    assert one.send(text="again")
    other.close()
    assert not one.send(text="nobody")


def test_the_largest_message() -> None:
    one, other = channel_pair()
    text = "x" * (MAX_MESSAGE_BYTES - 20)
    assert one.send(text=text)
    assert other.receive() == [{"text": text}]


# -------------------------------------------------------------------------------------------------- fork


def test_a_descriptor_comes_with_its_message() -> None:
    one, other = channel_pair()
    reading, writing = os.pipe()
    try:
        assert one.send(a=1) and one.send(writing, rest=2) and one.send(b=3)
        os.close(writing)
        messages = other.receive()
        assert messages is not None
        (writing,) = messages[1].pop("fds")
        assert messages == [{"a": 1}, {"rest": 2}, {"b": 3}]
        os.write(writing, b"x")
        assert os.read(reading, 2) == b"x"
        assert not os.get_inheritable(writing)
    finally:
        os.close(reading)
        os.close(writing)
        one.close()
        other.close()


def test_a_child_says_what_it_has_and_its_code_is_mains(tmp_path: Path) -> None:
    kept = os.open(tmp_path / "kept", os.O_CREAT | os.O_RDWR)
    other = os.open(tmp_path / "other", os.O_CREAT | os.O_RDWR)

    def main(channel: Channel) -> int:
        fds = sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir() if entry.exists())
        ignored = [
            signal.getsignal(number) == signal.SIG_IGN
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1)
        ]
        title = Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").decode()
        channel.send(fds=fds, own=channel.fileno(), ignored=ignored, title=title)
        return 7

    try:
        pid, channel = fork_child("fastdns: test", main, {kept})
        (said,) = wait_for(channel)
        assert said["title"] == "fastdns: test"
        assert said["fds"] == sorted([0, 1, 2, kept, said["own"]])  # type: ignore[type-var]
        assert said["ignored"] == [True] * 5
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    finally:
        os.close(kept)
        os.close(other)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FastdnsError("the weight file is missing"), "fastdns: test: the weight file is missing"),
        (ValueError("a bug"), "ValueError: a bug"),
        (SystemExit(0), "SystemExit: 0"),
    ],
    ids=["on purpose", "a bug", "exit"],
)
def test_a_child_that_fails_ends_with_1_and_says_why(
    capfd: pytest.CaptureFixture[str], error: BaseException, says: str
) -> None:
    def main(channel: Channel) -> int:
        sys.stderr = os.fdopen(2, "w", closefd=False)
        raise error

    pid, channel = fork_child("fastdns: test", main, set())
    assert wait_for(channel) == []
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert says in capfd.readouterr().err


def test_no_room_for_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    before = open_fds()
    with pytest.raises(OSError, match="temporarily unavailable"):
        fork_child("fastdns: test", lambda channel: 0, set())
    assert open_fds() == before


def test_the_parents_death_ends_the_child(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from fastdns.process.processes import fork_child\n"
        "pid, channel = fork_child('fastdns: test', lambda channel: time.sleep(60) or 0, set())\n"
        "print(pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
        parent.wait()
        wait_until(lambda: not alive(child), 5)
