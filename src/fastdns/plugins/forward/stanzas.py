"""The stanzas of a block in the form that the native step needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdns.corefile.model import ServerBlock
from fastdns.dns.names import wire_name
from fastdns.plugins.forward.config import Config
from fastdns.plugins.forward.routes import Routes

if TYPE_CHECKING:
    from fastdns.serve._exchanges import BlockObservers


def for_step(
    config: Config, block: ServerBlock, routes: Routes, observers: BlockObservers
) -> list[dict[str, Any]]:
    """All stanzas of a block; see ForwardStep."""
    stanzas = []
    for place, stanza in enumerate(config.stanzas):
        number = routes.numbers[block.index, place]
        upstreams = routes.of_stanza(number)
        stanzas.append({
            "number": number,
            "zone": wire_name(stanza.from_zone),
            "excepted": [wire_name(zone) for zone in stanza.exceptions],
            "upstreams": upstreams,
            "policy": stanza.effective_policy(take_turns=block.settings.take_turns),
            "force_tcp": stanza.force_tcp,
            "prefer_udp": stanza.prefer_udp,
            "max_fails": stanza.max_fails,
            "max_attempts": stanza.attempts(len(upstreams)),
            "max_concurrent": stanza.max_concurrent,
            "read_timeout_s": stanza.read_timeout_s,
            "probe_interval_s": stanza.health_check.interval_s,
            "probe_name": wire_name(stanza.health_check.domain),
            "probe_rd": stanza.health_check.recursion_desired,
            "next_rcodes": stanza.next_rcodes,
            "next_on_nodata": stanza.next_on_nodata,
            "failover_rcodes": stanza.failover_rcodes,
            "failfast": stanza.failfast_all_unhealthy_upstreams,
            "randomize_case": stanza.randomize_case,
            "observers": observers,
        })  # fmt: skip
    return stanzas
