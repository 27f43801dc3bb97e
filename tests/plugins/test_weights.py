"""The file of loadbalance weighted: what it says, what is wrong with it, and when it is looked for again."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from fastdns.errors import FastdnsError
from fastdns.plugins.loadbalance.config import Config
from fastdns.plugins.loadbalance.weights import Weights, check_weights, keep_weights, parse_weights

GOOD = """\
# weights
www.example.com
100.64.1.1  3   # most

\t100.64.1.2 1
ftp.example.com.
2001:db8::1 255
"""
WWW, FTP = b"\3www\7example\3com\0", b"\3ftp\7example\3com\0"
ONE = bytes((100, 64, 1, 1))


def test_names_and_their_addresses() -> None:
    assert parse_weights(GOOD, "w") == [
        (WWW, ONE, 3),
        (WWW, bytes((100, 64, 1, 2)), 1),
        (FTP, bytes.fromhex("20010db8000000000000000000000001"), 255),
    ]
    assert parse_weights("", "w") == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("192.0.2.1", 'wrong domain name:"192.0.2.1" in weight file w:2. (Maybe a missing weight value?)'),
        ("a..b", 'wrong domain name:"a..b" in weight file w:2: '),
        ("192.0.2 1", 'wrong IP address:"192.0.2" in weight file w:2'),
        ("192.0.2.1 0", 'wrong weight value:"0" in weight file w:2; 1 to 255 expected'),
        ("192.0.2.1 256", 'wrong weight value:"256" in weight file w:2; 1 to 255 expected'),
        ("192.0.2.1 -1", 'wrong weight value:"-1" in weight file w:2'),
        ("192.0.2.1 x", 'wrong weight value:"x" in weight file w:2'),
        ("192.0.2.1 1 2", 'could not parse weight line:"192.0.2.1 1 2" in weight file w:2; '),
    ],
)
def test_what_is_wrong_is_said_as_coredns_says_it_with_the_line(line: str, says: str) -> None:
    with pytest.raises(FastdnsError) as caught:
        parse_weights(f"www.example.com\n{line}\n", "w")
    assert str(caught.value).startswith(says)


def test_an_address_needs_a_name() -> None:
    with pytest.raises(FastdnsError, match=r"^missing domain name in weight file w:1: "):
        parse_weights("192.0.2.1 1\n", "w")


def weighted(file: Path, reload_s: float) -> Config:
    return Config("weighted", weight_file=str(file), reload_s=reload_s)


def test_a_missing_file_is_worth_a_warning_where_it_is_looked_for_again(tmp_path: Path) -> None:
    file = tmp_path / "w"
    says = f"weight file open error: {file}: No such file or directory"
    assert check_weights(weighted(file, 30.0)) == [f"Failed to open weight file:{says}. Will try again in 30s"]
    with pytest.raises(FastdnsError, match=f"^{says}; with reload 0"):
        check_weights(weighted(file, 0.0))
    file.write_text(GOOD)
    assert check_weights(weighted(file, 0.0)) == []


@pytest.mark.parametrize("reload_s", [0.0, 30.0])
@pytest.mark.parametrize(
    ("content", "says"),
    [(b"192.0.2.1 1\n", "missing domain name"), (b"w\xe9.example\n", "weight file .*w parsing error:'utf-8'")],
    ids=["no name", "Latin-1"],
)
def test_a_bad_file_is_an_error(tmp_path: Path, reload_s: float, content: bytes, says: str) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(FastdnsError, match=says):
        check_weights(weighted(tmp_path / "w", reload_s))


class Step:
    """Keeps the weights that it is given."""

    weights: Weights | None = None

    def set_weights(self, weights: Weights) -> None:
        self.weights = weights


async def test_the_file_is_followed_and_its_last_good_weights_are_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, step = tmp_path / "w", Step()
    keeping = asyncio.create_task(keep_weights(weighted(file, 0.01), step))

    async def until(what: str, weights: Weights | None) -> None:
        async with asyncio.timeout(5):
            while step.weights != weights or not any(what in message for message in caplog.messages or [""]):
                await asyncio.sleep(0.005)

    await asyncio.sleep(0.05)
    assert (step.weights, caplog.messages) == (None, []), "check_weights has said so"
    file.write_text("www.example.com\n100.64.1.1 3\n")
    await until("", [(WWW, ONE, 3)])
    file.write_text("www.example.com\n100.64.1.1 300\n")
    await until('wrong weight value:"300"', [(WWW, ONE, 3)])
    file.unlink()
    await until("No such file", [(WWW, ONE, 3)])
    file.write_text("www.example.com\n100.64.1.1 5\n")
    await until("", [(WWW, ONE, 5)])
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2, "each is said once"
    keeping.cancel()
