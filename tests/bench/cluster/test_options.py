"""The command line of ``fastdns bench cluster``."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastdns.bench.cluster.options import command_words, parse
from fastdns.bench.errors import BenchUsageError


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--services", "0"], "--services"),
        (["--services", "ten"], "--services"),
        (["--churn", "-1"], "--churn"),
        (["--probes", "33"], "--probes"),
        (["--seconds", "nan"], "--seconds"),
        (["--serv", "10"], "--serv"),
        (["--command", "coredns"], "{corefile} or {port}"),
        (["--command", "coredns 'x {corefile}"], "--command: No closing quotation"),
        (["--command", ""], "--command is empty"),
        (["more"], "more"),
    ],
    ids=str,
)
def test_a_wrong_command_line_is_told_so(arguments: list[str], says: str) -> None:
    with pytest.raises(BenchUsageError) as raised:
        parse(arguments)
    assert says in str(raised.value)


def test_braces_of_a_command_that_are_no_placeholders_stay() -> None:
    words = command_words("sh -c 'exec ${X:-coredns} -conf {corefile}'", Path("/a b/Corefile"), 53)
    assert words == ["sh", "-c", "exec ${X:-coredns} -conf /a b/Corefile"]
