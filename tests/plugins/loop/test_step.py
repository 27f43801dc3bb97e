"""What is taken for a probe that has come back: the armed token, and nothing that an outsider could send."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from fastdns.memory._store import Store
from fastdns.metrics._stats import Stats
from fastdns.plugins.forward.engine._shared import Upstreams
from fastdns.plugins.forward.upstreams import UpstreamError
from fastdns.plugins.loop import probes
from fastdns.plugins.loop._step import LoopStep
from fastdns.plugins.loop.probes import probe_query
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from tests.plugins.forward.engine.support import Asked, Forwarder, Upstream, forward, silent

pytestmark = pytest.mark.native

HINFO, A = 13, 1
TOKEN = bytes(range(0xE0, 0xF0))
SLOT = 3
S = 1_000_000_000


def armed(token: bytes = TOKEN, for_ns: int = 60 * S) -> tuple[Upstreams, Worker]:
    """A table with a token that is armed, and a worker with the step."""
    table = Upstreams()
    high, low = int.from_bytes(token[:8], "big"), int.from_bytes(token[8:], "big")
    table.arm(SLOT, high, low, time.monotonic_ns() + for_ns)
    chains = ServerTable([(".", 0, 0)], [[LoopStep(table)]], 1)
    return table, Worker(chains, Store(1 << 22), 1, Stats(2), 1)


def changed(token: bytes, bit: int) -> bytes:
    return (int.from_bytes(token, "big") ^ 1 << bit).to_bytes(16, "big")


def upper(wire: bytes) -> bytes:
    return wire[:12] + wire[12:].upper()


def asks(kind: int) -> Callable[[bytes], bytes]:
    return lambda wire: wire[:-4] + kind.to_bytes(2, "big") + wire[-2:]


@pytest.mark.parametrize("change", [bytes, upper], ids=["as it was sent", "in capitals"])
@pytest.mark.parametrize("tcp", [False, True])
def test_the_armed_token_is_seen_and_ends_here(change: Callable[[bytes], bytes], tcp: bool) -> None:
    table, worker = armed()
    assert worker.serve(change(probe_query(TOKEN, "example.org.")), tcp=tcp) is None
    assert table.seen(SLOT)
    assert not any(table.seen(slot) for slot in range(8) if slot != SLOT)


@pytest.mark.parametrize("bit", range(128))
def test_a_token_that_is_off_by_a_bit_is_a_question(bit: int) -> None:
    table, worker = armed()
    assert worker.serve(probe_query(changed(TOKEN, bit), ".")) is not None
    assert not table.seen(SLOT)


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (probe_query(bytes(16), "."), "the token of places that were never armed"),
        (probe_query(TOKEN[8:] + TOKEN[:8], "."), "halves the other way round"),
        (asks(A)(probe_query(TOKEN, ".")), "another type"),
        (probe_query(TOKEN, ".")[:12] + b"\1x" + probe_query(TOKEN, ".")[12:], "a label in front"),
    ],
    ids=["never armed", "halves", "type", "label in front"],
)
def test_what_is_no_probe(wire: bytes, why: str) -> None:
    table, worker = armed()
    assert worker.serve(wire) is not None, why
    assert not table.seen(SLOT), why


def test_a_token_is_good_for_as_long_as_it_is_armed() -> None:
    table, worker = armed(for_ns=-1)
    assert worker.serve(probe_query(TOKEN, ".")) is not None
    assert not table.seen(SLOT)


def test_an_upstream_whose_files_are_gone_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is cut off would stay so if looking for the loop ended with it."""
    monkeypatch.setattr(probes, "PROBE_S", 0.01)
    monkeypatch.setattr(probes, "POLL_S", 0.001)
    with Upstream(silent) as up, Forwarder(forward(up.to, force_tcp="")) as forwarder:
        target = probes.Target(forwarder.routes.upstreams[0], "example.org.")

        class Missing:
            def of(self, stanza: int) -> None:
                raise UpstreamError("cannot read ca.pem")

        assert not forwarder.call(
            probes.comes_back(target, forwarder.routes, forwarder.table.shared, cast(Any, Missing()))
        )


def test_each_probe_has_a_token_and_an_id_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outsider who has seen one (of another server, or of an earlier time) cannot cut an upstream off."""
    monkeypatch.setattr(probes, "PROBE_S", 0.01)
    monkeypatch.setattr(probes, "POLL_S", 0.001)
    with Upstream(silent) as up, Forwarder(forward(up.to)) as forwarder:
        target = probes.Target(forwarder.routes.upstreams[0], "example.org.")
        for _ in range(20):
            assert not forwarder.call(
                probes.comes_back(target, forwarder.routes, forwarder.table.shared, forwarder.desk)
            )
        wires = [up.next().wire for _ in range(20)]
    assert len({wire[12:46] for wire in wires}) == 20
    assert len({wire[13:29] for wire in wires}) == len({wire[30:46] for wire in wires}) == 20
    assert len({wire[:2] for wire in wires}) > 15


def test_an_upstream_that_is_cut_off_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """For as long as it sends probes back it stays cut off, and each look is told of; then it is asked again."""
    monkeypatch.setattr(probes, "WAITS_S", (0.0, 0.01))
    monkeypatch.setattr(probes, "AGAIN_S", 0.05)
    monkeypatch.setattr(probes, "PROBE_S", 0.5)
    monkeypatch.setattr(probes, "POLL_S", 0.001)
    cut_when_probed: list[bool] = []

    def back(asked: Asked) -> None:
        """The upstream sends two probes back here, and none after them."""
        cut_when_probed.append(table.is_cut(slot))
        if len(cut_when_probed) <= 2:
            steps.serve(asked.wire)

    with Upstream(back) as up, Forwarder(forward(up.to)) as forwarder:
        route, table = forwarder.routes.upstreams[0], forwarder.table.shared
        slot = route.slot
        chains = ServerTable([(".", 0, 0)], [[LoopStep(table)]], 1)
        steps = Worker(chains, Store(1 << 22), 1, Stats(2), 1)
        target = probes.Target(route, "example.org.")
        with caplog.at_level(logging.INFO, "plugin/loop"):
            forwarder.call(probes.watch(target, forwarder.routes, table, forwarder.desk))
    assert cut_when_probed == [False, True, True, False]
    assert not table.is_cut(slot)
    says = [record.getMessage() for record in caplog.records]
    loop = f'Loop ({up.to}) detected for zone "example.org.": this upstream sends queries back to this server. '
    assert [said.startswith(loop) for said in says] == [True, True, False]
    assert says[2] == f"{up.to} no longer sends queries back and is asked again"
