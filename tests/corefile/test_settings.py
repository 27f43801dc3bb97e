"""What several plugins set of a block, together."""

from __future__ import annotations

import pytest

from fastdns.corefile import load
from fastdns.corefile.settings import DEFAULTS, Settings, together


def test_the_later_one_counts_where_both_set_the_same() -> None:
    assert together([]) == DEFAULTS
    one, other = Settings(read_s=1, idle_s=2, debug=True), Settings(read_s=3, stacktrace=True)
    assert together([one, other]) == Settings(read_s=3, idle_s=2, debug=True, stacktrace=True)


@pytest.mark.parametrize(
    ("directives", "settings"),
    [
        ("whoami", DEFAULTS),
        ("bind 127.0.0.1", Settings(addresses=("127.0.0.1",))),
        ("multisocket 3", Settings(workers=3)),
        ("multisocket", DEFAULTS),
        ("debug", Settings(debug=True)),
        ("errors {\nstacktrace\n}", Settings(stacktrace=True)),
        ("errors", DEFAULTS),
        ("prometheus", Settings(counted=True)),
        ("prometheus {\nruntime_metrics\n}", Settings(counted=True, runtime_metrics=True)),
        ("forward . 192.0.2.1", Settings(every_class=True)),
        ("loadbalance", Settings(take_turns=True)),
        ("reload 10s 4s", Settings(look_interval_s=10, look_jitter_s=4)),
        ("timeouts {\nread 5s\nmaxtcpqueries 7\n}", Settings(read_s=5, max_queries=7)),
        ("debug\nreload 10s 0s\nwhoami", Settings(debug=True, look_interval_s=10)),
    ],
)
def test_what_a_directive_sets(directives: str, settings: Settings) -> None:
    (block,) = load(f". {{\n{directives}\n}}", environ={}).blocks
    assert block.settings == settings
