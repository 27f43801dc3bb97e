"""Memory that a large draft took goes back to the kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastdns.memory._allocator import give_back_large
from fastdns.rrsets._draft import Draft
from tests.support import in_child

pytestmark = pytest.mark.native


def rss_kib() -> int:
    fields = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return next(int(words[1]) for words in fields if words[0] == "RssAnon:")


def take_and_free() -> None:
    draft = Draft(b"\0")
    for number in range(100_000):
        draft.add(b"\x06%06d\0" % number, 1, 60, b"\0\0\0\0")
    draft.prepare()


@pytest.mark.unsanitized("sanitizers have an allocator of their own, which keeps what is freed")
def test_what_a_large_draft_took_goes_back() -> None:
    def body() -> None:
        give_back_large()
        # What the interpreter keeps it has by then.
        take_and_free()
        before = rss_kib()
        take_and_free()
        assert rss_kib() < before + 2048

    assert os.waitstatus_to_exitcode(os.waitpid(in_child(body), 0)[1]) == 0
