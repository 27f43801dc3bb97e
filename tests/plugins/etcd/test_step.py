"""The step on a store, without etcd: random keys against an obvious reference, limits, and records of any bytes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import dns.flags
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastdns.dns.names import wire_name
from fastdns.plugins.etcd.services import HEAD, HOST_NAME, HOST_NONE, TYPE_SERVICE, record_of
from fastdns.rrsets._draft import Draft
from tests.plugins.etcd.stepping import ZONE, Stepping, shown

pytestmark = pytest.mark.native

# ---------------------------------------------------------------------------------------------- the reference


def services(keys: Mapping[str, Any], name: str, exact: bool, text: bool) -> list[tuple[str, Any]] | None:
    """The services of a name, as CoreDNS gets them from etcd; None: there is no key."""
    labels = name.lower().rstrip(".").split(".")[::-1]
    wild = next((at for at, label in enumerate(labels) if label in ("*", "any")), len(labels))
    path = "".join(f"/{label}" for label in labels[:wild])
    found = {} if exact else {key: keys[key] for key in sorted(keys) if key.startswith(f"{path}/")}
    if not found:
        found = {path: keys[path]} if path in keys else {}
    if not found:
        return None
    chosen = [
        (key, value)
        for key, value in found.items()
        if all(
            at < len(key.split("/")) - 1 and label in ("*", "any", key.split("/")[at + 1])
            for at, label in enumerate(labels if wild < len(labels) else ())
        )
        and (value.get("host") or (text and value.get("text")))
    ]
    return grouped(chosen)


def grouped(chosen: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Those of one group: that of a key that is shorter than all before it. A shorter one without a group ends the
    search. Where others on its level disagree, all are chosen."""
    if not chosen:
        return chosen
    group, depth = chosen[0][1].get("group", ""), chosen[0][0].count("/")
    seen = 0
    for key, value in chosen:
        seen += 1
        if key.count("/") < depth:
            if not value.get("group"):
                break
            group, depth = value["group"], key.count("/")
    level = {value.get("group", group) for key, value in chosen[:seen] if key.count("/") == depth}
    if not group or level != {group}:
        return chosen
    return [(key, value) for key, value in chosen if value.get("group", group) == group]


def expected(keys: Mapping[str, Any], name: str, kind: str) -> tuple[str, list[str]]:
    """Code and answer."""
    found = services(keys, name, kind in ("CNAME", "PTR"), kind == "TXT")
    if found is None:
        there = services(keys, name, False, False) is not None or name.lower() == ZONE
        return "NOERROR" if there else "NXDOMAIN", []
    answer = []
    for _, value in found:
        host = value.get("host", "")
        if kind == "A" and host[:1].isdecimal():
            answer.append(f"{name} 300 IN A {host}")
        elif kind == "TXT" and not host and value.get("text"):
            answer.append(f'{name} 300 IN TXT "{value["text"]}"')
        elif kind in ("PTR", "CNAME") and host[:1].isalpha():
            answer.append(f"{name} 300 IN {kind} {host}")
    return "NOERROR", sorted(set(answer))


LABELS = st.sampled_from(["a", "b", "ab", "c-c", "dns2"])
PATHS = st.lists(LABELS, max_size=4).map(lambda labels: "".join(f"/{label}" for label in ("z", *labels)))
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "host": st.sampled_from(["10.0.0.1", "10.0.0.2", "name.example."]),
        "text": st.sampled_from(["t1", "t2"]),
    },
)
NAMES = st.lists(st.one_of(LABELS, st.sampled_from(["A", "*", "any", "none"])), max_size=4).map(
    lambda labels: "".join(f"{label}." for label in (*labels, "z"))
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    keys=st.dictionaries(PATHS, VALUES, max_size=12),
    questions=st.lists(st.tuples(NAMES, st.sampled_from(["A", "TXT", "CNAME", "PTR", "HINFO"])), max_size=20),
)
def test_names_answer_as_a_reference_says(keys: dict[str, Any], questions: list[tuple[str, str]]) -> None:
    # An alias to another zone would need the whole server.
    keys = {
        key: value
        for key, value in keys.items()
        if value.get("host") != "name.example." or "text" in value or key.endswith("dns2")
    }
    stepping = Stepping()
    stepping.publish(keys)
    for name, kind in questions:
        if kind in ("A", "TXT") and any(value.get("host") == "name.example." for value in keys.values()):
            continue
        assert shown(stepping.ask(name, kind)) == expected(keys, name, kind), (keys, name, kind)


@settings(max_examples=60, deadline=None)
@given(keys=st.dictionaries(
    PATHS,
    st.fixed_dictionaries({"host": st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])},
                          optional={"group": st.sampled_from(["g", "h"])}),
    min_size=1, max_size=8,
))  # fmt: skip
def test_groups_answer_as_a_reference_says(keys: dict[str, Any]) -> None:
    stepping = Stepping()
    stepping.publish(keys)
    assert shown(stepping.ask("z.")) == expected(keys, "z.", "A")


# ---------------------------------------------------------------------------------------------------- limits


def test_before_etcd_has_been_read() -> None:
    stepping = Stepping()
    assert shown(stepping.ask("a.z.")) == ("SERVFAIL", [])
    stepping.publish({})
    assert shown(stepping.ask("a.z.")) == ("NXDOMAIN", [])


def test_a_name_with_more_services_than_one_query_may_look_at() -> None:
    stepping = Stepping()
    keys = {f"/z/many/{number}": {"host": f"2001:db8::{number:x}"} for number in range(4200)}
    stepping.publish({**keys, "/z/many/zz": {"host": "10.0.0.1"}, "/z/few/a": {"host": "10.0.0.2"}})
    reply = stepping.ask("many.z.", "A")
    assert reply.flags & dns.flags.TC, "the last one was not looked at"
    assert not stepping.ask("few.z.", "A").flags & dns.flags.TC
    assert len(stepping.ask("many.z.", "AAAA").answer) > 2000


def test_aliases_that_multiply_end() -> None:
    """Each of 60 names leads to all others: a search without a bound would not end."""
    stepping = Stepping()
    stepping.publish({
        f"/z/n{one}/k{other}": {"host": f"n{other}.z."} for one in range(60) for other in range(60) if one != other
    })  # fmt: skip
    for kind in ("A", "AAAA", "TXT", "SRV"):
        stepping.ask("n1.z.", kind)


@pytest.mark.parametrize(
    ("ttl_s", "left_s", "least", "most"),
    [(0, None, 300, 300), (77, None, 77, 77), (0, 500, 498, 500), (77, 500, 77, 77), (0, 5, 30, 30),
     (0, -5, 30, 30), (0, 5000, 900, 900), (2**32 - 1, None, 2**31 - 1, 2**31 - 1)],
    ids=["none", "its own", "of its lease", "the lower one", "at least", "over", "at most", "too much"],
)  # fmt: skip
def test_ttls(ttl_s: int, left_s: int | None, least: int, most: int) -> None:
    stepping = Stepping(max_lease_ttl_s=900)
    expires_ns = 0 if left_s is None else time.monotonic_ns() + left_s * 1_000_000_000
    stepping.publish({"/z/a": {"host": "10.0.0.1", "ttl": ttl_s}}, expires_ns)
    (answer,) = stepping.ask("a.z.").answer
    assert least <= answer.ttl <= most


# -------------------------------------------------------------------------------------------------- any bytes

KINDS = ["A", "AAAA", "TXT", "SRV", "MX", "CNAME", "PTR", "NS", "SOA", "HINFO"]
GOOD = record_of(b"/z/a", wire_name("a.z."), b'{"host":"b.z.","text":"x","group":"g","port":1,"mail":true}', 0)


@settings(max_examples=50, deadline=None)
@given(
    records=st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)).map(
                lambda change: GOOD[: change[0]] + bytes((change[1],)) + GOOD[change[0] + 1 :]
            ),
        ),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_records_of_any_bytes(records: list[bytes]) -> None:
    stepping = Stepping()
    draft = Draft(b"\0")
    for number, record in enumerate(records):
        for owner in ("a.z.", "b.a.z.", f"n{number}.ns.dns.z.", "x.apex.dns.z."):
            draft.add(wire_name(owner), TYPE_SERVICE, 0, record)
    stepping.publish_draft(draft)
    for name in ("z.", "a.z.", "b.a.z.", "*.z."):
        for kind in KINDS:
            stepping.ask(name, kind)


@pytest.mark.parametrize("kind", [HOST_NONE, HOST_NAME])
def test_a_record_without_a_name_is_none(kind: int) -> None:
    """What stands behind it was read as a name, of more labels than there was room for."""
    text = b"\1a" * 1000
    record = HEAD.pack(0, 0, 0, 0, 0, 10, 0, len(text), 0, 0, kind, 0, 2, 0) + text
    stepping = Stepping()
    draft = Draft(b"\0")
    draft.add(wire_name("a.z."), TYPE_SERVICE, 0, record)
    stepping.publish_draft(draft)
    for name in ("a.z.", "*.z.", "*.*.*.z."):
        for qtype in KINDS:
            assert not stepping.ask(name, qtype).answer
