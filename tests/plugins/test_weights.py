"""The file of loadbalance weighted: what it says, what is wrong with it, and when it is looked for again."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from fastdns.errors import FastdnsError
from fastdns.plugins.loadbalance.config import Config
from fastdns.plugins.loadbalance.weights import WeightFile, Weights, check_weights, keep_weights, parse_weights
from fastdns.skipped import SkippedLines

GOOD = """\
# weights
www.example.com
100.64.1.1  3   # most

\t100.64.1.2 1
ftp.example.com.
2001:db8::1 255
"""
WWW, FTP = b"\3www\7example\3com\0", b"\3ftp\7example\3com\0"
ONE, TWO = bytes((100, 64, 1, 1)), bytes((100, 64, 1, 2))


def test_names_and_their_addresses() -> None:
    assert parse_weights(GOOD, "w").weights == [
        (WWW, ONE, 3),
        (WWW, bytes((100, 64, 1, 2)), 1),
        (FTP, bytes.fromhex("20010db8000000000000000000000001"), 255),
    ]
    assert parse_weights("", "w") == WeightFile([])
    assert not parse_weights("# nothing\n", "w").is_bad


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
    """The lines around it are used: another program may have written the file."""
    found = parse_weights(f"www.example.com\n{line}\nftp.example.com\n100.64.1.1 3\n", "w")
    (problem,) = found.problems
    assert problem.startswith(says)
    assert problem.endswith("; the line is skipped")
    assert found.weights == [(FTP, ONE, 3)]
    assert parse_weights(f"www.example.com\n{line}\n", "w").is_bad


def test_an_address_needs_a_name() -> None:
    (problem,) = parse_weights("192.0.2.1 1\n", "w").problems
    assert problem.startswith("missing domain name in weight file w:1: ")


def test_the_addresses_of_a_name_that_is_none_are_nobodys() -> None:
    found = parse_weights("www.example.com\n100.64.1.1 3\na..b\n100.64.1.2 9\n", "w")
    assert found.weights == [(WWW, ONE, 3)]
    assert [problem.partition(" in weight")[0] for problem in found.problems] == [
        'wrong domain name:"a..b"', "the domain name above is wrong"
    ]  # fmt: skip


def test_a_start_says_each_bad_line_once_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "w").write_text("www.example.com\n100.64.1.1 3\n100.64.1.2 none\n")
    skipped = SkippedLines()
    for _ in range(2):
        assert check_weights(weighted(tmp_path / "w", 30.0), skipped) == []
    assert len(caplog.messages) == 1
    assert 'wrong weight value:"none"' in caplog.messages[0]
    assert skipped.counts == {str(tmp_path / "w"): 1}


def weighted(file: Path, reload_s: float) -> Config:
    return Config("weighted", weight_file=str(file), reload_s=reload_s)


def test_a_missing_file_is_worth_a_warning_where_it_is_looked_for_again(tmp_path: Path) -> None:
    file = tmp_path / "w"
    says = f"weight file open error: {file}: No such file or directory"
    warning = f"Failed to open weight file:{says}. Will try again in 30s"
    assert check_weights(weighted(file, 30.0), SkippedLines()) == [warning]
    with pytest.raises(FastdnsError, match=f"^{says}; with reload 0"):
        check_weights(weighted(file, 0.0), SkippedLines())
    file.write_text(GOOD)
    assert check_weights(weighted(file, 0.0), SkippedLines()) == []


@pytest.mark.parametrize("reload_s", [0.0, 30.0])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"192.0.2.1 1\n", "missing domain name .*, and no other is left: correct the file"),
        (b"w\xe9.example\n192.0.2.1 300\n", "wrong weight value"),
        (b"\0" * 5000, "wrong domain name"),
    ],
    ids=["no name", "Latin-1", "no text"],
)
def test_a_file_without_a_good_line_is_an_error(tmp_path: Path, reload_s: float, content: bytes, says: str) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(FastdnsError, match=says):
        check_weights(weighted(tmp_path / "w", reload_s), SkippedLines())


class Step:
    """Keeps the weights that it is given."""

    weights: Weights | None = None

    def set_weights(self, weights: Weights) -> None:
        self.weights = weights


async def test_the_file_is_followed_and_its_last_good_weights_are_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, step = tmp_path / "w", Step()
    told: list[int] = []
    keeping = asyncio.create_task(keep_weights(weighted(file, 0.01), step, lambda _, lines: told.append(lines)))

    async def until(what: str, weights: Weights | None) -> None:
        async with asyncio.timeout(5):
            while step.weights != weights or not any(what in message for message in caplog.messages or [""]):
                await asyncio.sleep(0.005)

    await asyncio.sleep(0.05)
    assert (step.weights, caplog.messages) == (None, []), "check_weights has said so"
    file.write_text("www.example.com\n100.64.1.1 3\n")
    await until("", [(WWW, ONE, 3)])
    file.write_text("www.example.com\n100.64.1.1 300\n")
    await until("no valid line is left; the last valid weights stay in use", [(WWW, ONE, 3)])
    file.write_text("www.example.com\n100.64.1.1 300\n100.64.1.2 4\n")
    await until('wrong weight value:"300"', [(WWW, TWO, 4)])
    file.unlink()
    await until("No such file", [(WWW, TWO, 4)])
    file.write_text("www.example.com\n100.64.1.1 5\n")
    await until("", [(WWW, ONE, 5)])
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.WARNING, logging.ERROR, logging.ERROR], "each is said once"
    assert told == [1]
    keeping.cancel()
