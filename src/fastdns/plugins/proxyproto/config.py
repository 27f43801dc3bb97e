"""The options of proxyproto: which senders are proxies, what becomes of others' headers, and sessions over UDP."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import extend, one, only_options, parse_duration_s, store, to_int, to_network
from fastdns.transports.proxied import POLICIES, ProxyConfig

DEFAULT_SESSIONS = 10_240
# Each takes 64 bytes of each worker when it is used, and up to 8 of the index.
MAX_SESSIONS = 1 << 20
MAX_SESSION_S = 86_400.0


def parse(d: Dispenser, block: BlockContext) -> ProxyConfig:
    """Once in a block. Raises CorefileError."""
    fields = only_options(d, OPTIONS)
    if fields.get("allowed") and "others" not in fields:
        fields["others"] = "ignore"
    session_s, max_sessions = fields.pop("sessions", (0.0, 0))
    return ProxyConfig(**fields, counters="proxyproto", session_s=session_s, max_sessions=max_sessions)


def _networks(d: Dispenser) -> tuple[tuple[bytes, int], ...]:
    found = []
    for text in d.remaining_args():
        network = to_network(d, text)
        mapped = b"\0" * 10 + b"\xff\xff" if network.version == 4 else b""
        found.append((mapped + network.network_address.packed, network.prefixlen + 8 * len(mapped)))
    return tuple(found)


def _policy(d: Dispenser) -> str:
    text = one(d, f"one of {', '.join(POLICIES)}").lower()
    if text not in POLICIES:
        raise d.error(f"unknown policy {text!r}; expected one of {', '.join(POLICIES)}")
    return text


def _sessions(d: Dispenser) -> tuple[float, int]:
    args = d.remaining_args()
    if not 1 <= len(args) <= 2:
        raise d.error("udp_session_tracking takes a duration, such as 28s, and perhaps a number of sessions")
    try:
        session_s = parse_duration_s(args[0].removeprefix("-"))
    except ValueError as error:
        raise d.error(f"udp_session_tracking: {error}") from None
    if args[0].startswith("-"):
        # CoreDNS: a duration that is not positive is none.
        session_s = 0.0
    if session_s > MAX_SESSION_S:
        raise d.error(f"udp_session_tracking must be at most {MAX_SESSION_S:g}s, got {args[0]}")
    sessions = DEFAULT_SESSIONS
    if len(args) == 2:
        sessions = to_int(d, args[1], "the number of sessions", 1, MAX_SESSIONS)
    return session_s, sessions


OPTIONS = {
    "allow": extend("allowed", _networks),
    "default": store("others", _policy),
    "udp_session_tracking": store("sessions", _sessions),
}
