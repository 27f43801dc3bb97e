"""Lines that are JSON objects, one query of many, and so many lines a second of a class."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.log._lines import LineReader
from fastdns.plugins.log._ring import LogRing
from fastdns.plugins.log._step import LogStep, log_reply
from fastdns.plugins.log.config import Rule
from fastdns.plugins.log.format import COMBINED, COMMON, json_parts, max_line_bytes, parse_format
from fastdns.serve._values import BlockValue
from tests.plugins.log.support import ALL, ROOT, query, ring
from tests.serve._choosing import FactValue

pytestmark = pytest.mark.native


def objects(text: str, message: bytes, *values: Any, **reply: Any) -> list[dict[str, Any]]:
    """What is logged, as JSON objects."""
    one = ring()
    log_reply(LogStep(0, [(ROOT, ALL, *values)]), one, message, **reply)
    parts = json_parts(parse_format(text))
    raw = LineReader({0: [parts]}).read(one)
    assert raw.endswith(b"\n") and len(raw) <= max_line_bytes(parts) + 1
    return [json.loads(line, object_pairs_hook=once) for line in raw.decode().splitlines()]


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_a_line_has_the_values_of_the_format() -> None:
    [found] = objects(COMBINED, query(want_dnssec=True), written=True, client_port=4711, took_ns=1_500_000, aa=True)
    assert found.pop("duration") >= 0.0015
    assert found == {
        "remote": "127.0.0.1", "port": 4711, "id": 1, "type": "A", "class": "IN", "name": "www.example.org.",
        "proto": "udp", "size": 44, "do": True, "bufsize": 1232, "rcode": "NOERROR", "rflags": "qr,aa,rd",
        "rsize": 33, "opcode": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{name}", {"name": "www.example.org."}),
        ("query: {name}!", {"name": "www.example.org."}),
        ("{type} {type} {name} {type}", {"type": "A", "name": "www.example.org."}),
        ("{>id}{>id}", {"id": 1}),
        ("{when} nothing", {}),
        ("{>do}", {"do": False}),
        ("{rcode} {>rflags} {rsize}", {"rcode": "-", "rflags": "-", "rsize": 0}),
    ],
)
def test_other_formats(text: str, expected: dict[str, Any]) -> None:
    """Of a query that nobody answers: what stands between values is left out, and so is a value's second time."""
    assert objects(text, query(), written=False) == [expected]


@pytest.mark.parametrize("label", ['a"b', "a\\b", "a\\\\b", "\\000\\031", "\\255", "{}", "x" * 63])
def test_names_are_as_in_other_lines(label: str) -> None:
    message = query(f"{label.replace(chr(34), chr(92) + chr(34))}.org.")
    [found] = objects("{name}", message)
    one = ring()
    log_reply(LogStep(0, [(ROOT, ALL)]), one, message)
    plain = LineReader({0: [parse_format("{name}")]}).read(one)
    assert plain.decode() == f"[INFO] {found['name']}\n"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_value_is_one_string(value: bytes) -> None:
    """What is no UTF-8 is replaced, as Go's encoder does; nothing ends the string or the line."""
    [found] = objects("{/plugin/name} {name}", query(), BlockValue(FactValue(value), ["."]))
    assert found["name"] == "www.example.org."
    cut = value[:255]
    try:
        expected = cut.decode() or "-"
    except UnicodeDecodeError:
        assert "\ufffd" in found["plugin/name"]
    else:
        assert found["plugin/name"] == expected


def logged(step: LogStep, count: int, **reply: Any) -> int:
    """How many of so many queries are logged."""
    one = LogRing(1 << 22, 1_000_000_000)
    log_reply(step, one, query(), times=count, **reply)
    reader = LineReader({0: [parse_format("{>id}")] * 4})
    found = 0
    while lines := reader.read(one):
        found += lines.count(b"\n")
    return found


def test_one_of_many() -> None:
    assert logged(LogStep(0, [(ROOT, ALL)], [(1, [])]), 500) == 500
    found = logged(LogStep(0, [(ROOT, ALL)], [(10, [])]), 20_000)
    # Twenty standard deviations of a binomial distribution around its mean.
    assert abs(found - 2000) < 20 * (20_000 * 0.1 * 0.9) ** 0.5
    assert logged(LogStep(0, [(ROOT, ALL)], [(1_000_000_000, [])]), 1000) <= 1


def test_so_many_lines_a_second() -> None:
    """A second's lines at once, and from then on one when it is due; each thread of a worker for itself."""
    step = LogStep(0, [(ROOT, ALL)], [(1, [(ALL, 50)])])
    began_s = time.monotonic()
    found = logged(step, 5000)
    took_s = time.monotonic() - began_s
    assert 50 <= found <= 51 + 50 * took_s
    assert logged(step, 10, tcp=True) == 10
    time.sleep(0.1)
    assert 4 <= logged(step, 1000) <= 50


def test_a_limit_is_of_its_classes() -> None:
    """Errors alone, successes alone, and all together: what any of them forbids is not logged."""
    limits = [(("error",), 5), (("success",), 7), (ALL, 10)]
    step = LogStep(0, [(ROOT, ALL)], [(1, limits)])
    assert 5 <= logged(step, 100, rcode=2) <= 6
    # Only five of ten are left for all, though seven were allowed of these.
    assert 5 <= logged(step, 100) <= 7
    assert logged(step, 100, rcode=3, authority=[(6, b"\0\0" + bytes(20))]) <= 1


@pytest.mark.parametrize(
    ("options", "sample", "limits", "in_json"),
    [
        ("json", 1, (), True),
        ("sample 100", 100, (), False),
        ("limit 10", 1, ((frozenset({"all"}), 10),), False),
        ("limit 10 error denial", 1, ((frozenset({"error", "denial"}), 10),), False),
        ("limit 10 error\nlimit 5", 1, ((frozenset({"error"}), 10), (frozenset({"all"}), 5)), False),
        ("class error\njson\nsample 2\nlimit 1 error", 2, ((frozenset({"error"}), 1),), True),
    ],
)
def test_options(options: str, sample: int, limits: tuple[Any, ...], in_json: bool) -> None:
    [rule] = load(f". {{\nlog . {{common}} {{\n{options}\n}}\n}}\n").blocks[0].plugins["log"].rules
    assert isinstance(rule, Rule)
    assert (rule.sample, rule.limits) == (sample, limits)
    assert rule.parts == (json_parts(parse_format(COMMON)) if in_json else parse_format(COMMON))


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ("json yes", "expected no argument"),
        ("sample", "sample"),
        ("sample 0", "1"),
        ("sample 1.5", "1.5"),
        ("limit", "limit"),
        ("limit error", "the lines a second of limit"),
        ("limit 0", "the lines a second of limit"),
        ("limit 10 errors", "'errors' is no class"),
        ("limit 10000001", "the lines a second of limit"),
    ],
)
def test_mistakes(option: str, error: str) -> None:
    with pytest.raises(CorefileError) as caught:
        load(f". {{\nlog {{\n{option}\n}}\n}}\n")
    assert error in str(caught.value) and "Corefile:3" in str(caught.value)


def test_a_long_format_is_longer_in_json() -> None:
    text = '"' + "{name}" * 16 + "x" * 16_000 + '"'
    load(f". {{\nlog . {text}\n}}\n")
    load(f". {{\nlog . {text} {{\njson\n}}\n}}\n")
    values = "".join(f"{{/p/v{number}}}" for number in range(22))
    load(f". {{\nmetadata\nlog . {values}\n}}\n")
    with pytest.raises(CorefileError, match="the format makes lines of up to"):
        load(f". {{\nmetadata\nlog . {values} {{\njson\n}}\n}}\n")


def test_random_formats_are_objects() -> None:
    rng = random.Random(5)
    names = ["{type}", "{name}", "{class}", "{proto}", "{size}", "{remote}", "{port}", "{local}", "{>id}", "{>do}"]
    for _ in range(200):
        text = "".join(rng.choice([*names, '"', "\\", "{", "}", " ", "\n"]) for _ in range(rng.randrange(12)))
        [found] = objects(text, query())
        assert set(found) == {part.placeholder.strip("{}>") for part in parse_format(text) if part.placeholder}
