"""When a zone is signed again: CoreDNS's rules (plugin/sign/resign_test.go has the first ones)."""

from __future__ import annotations

import os
import time
from calendar import timegm
from pathlib import Path

import pytest

from fastdns.plugins.sign.rules import DAY_S, lifetime, why_of, why_sign

NOW_S = timegm((2019, 7, 18, 22, 50, 0))
HOUR_S = 3600


def stamp(when_s: int) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(when_s))


def signature(inception_s: int, expiration_s: int, covers: str = "SOA") -> str:
    times = f"{stamp(expiration_s)} {stamp(inception_s)}"
    return f"miek.nl. 1800 IN RRSIG {covers} 13 2 1800 {times} 59725 miek.nl. eU6gI1Ok\n"


@pytest.mark.parametrize(
    ("age_s", "left_s", "why"),
    [
        (DAY_S, 21 * DAY_S, ""),
        (-1, 21 * DAY_S, 'inception "2019-07-18T22:50:01.000Z" date is in the future'),
        (6 * DAY_S, 21 * DAY_S, ""),
        (6 * DAY_S + 1, 21 * DAY_S, "was more than: 518400s ago"),
        (DAY_S, 7 * DAY_S, ""),
        (DAY_S, 7 * DAY_S - 1, "is less than: 604800s away"),
        (DAY_S, -1, "is less than: 604800s away"),
    ],
)
def test_times(age_s: int, left_s: int, why: str) -> None:
    found = why_of(NOW_S - age_s, NOW_S + left_s, NOW_S)
    assert why in found and bool(why) == bool(found)


def test_a_lifetime_has_jitter() -> None:
    made = [lifetime(NOW_S) for _ in range(100)]
    assert all(-21 * HOUR_S < inception_s - NOW_S <= -3 * HOUR_S for inception_s, _ in made)
    assert all(32 * DAY_S <= expiration_s - NOW_S < 37 * DAY_S for _, expiration_s in made)
    assert len(set(made)) > 90
    assert all(why_of(*one, NOW_S) == "" for one in made)


GOOD = signature(NOW_S - DAY_S, NOW_S + 21 * DAY_S)
OLD = signature(NOW_S - 8 * DAY_S, NOW_S + 20 * DAY_S)
SOA = "miek.nl. 1800 IN SOA ns host 1 2 3 4 5\n"
PLAIN = "a.miek.nl. 1 IN A 192.0.2.1\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SOA + GOOD, ""),
        ("$TTL 60\n@ SOA a b 1 2 3 4 5\n" + GOOD, ""),
        (SOA + GOOD + PLAIN * 1000, ""),
        (SOA + GOOD + OLD, "was more than"),
        (SOA + GOOD.replace("SOA", "NS") + OLD, "was more than"),
        (SOA + PLAIN * 98 + GOOD, ""),
        (SOA + PLAIN * 99 + GOOD, "no SOA RRSIG found in first 100 records"),
        (SOA, "no SOA RRSIG found in first 100 records"),
        ("", "no SOA RRSIG found in first 100 records"),
        (SOA + "miek.nl. 1800 IN RRSIG SOA 13 2 x\n" + GOOD, "signed:3: "),
        pytest.param("\0\xff" * 500, "signed:1: ", id="no text"),
        (SOA + GOOD + PLAIN * 99 + "what is this", ""),
    ],
)  # fmt: skip
def test_files(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "signed"
    file.write_text(text)
    found, expiration_s = why_sign(str(file), NOW_S)
    assert why in found and bool(why) == bool(found)
    assert len(found) < 400
    if not why:
        assert expiration_s == NOW_S + 21 * DAY_S


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "signed"
    assert why_sign(str(file), NOW_S) == (f"open {file}: no such file or directory", 0)
    os.mkfifo(file)
    assert "expected a regular file" in why_sign(str(file), NOW_S)[0]
    assert f"open {tmp_path}: " in why_sign(str(tmp_path), NOW_S)[0]
