"""Why queries did not get what they asked for: a number each, for the life of the server.

A reason is counted by its number in each thread's counters (``failed`` in _stats.pxd), and logged by the errors
plugin. The server's own come first. A plugin's are registered when the plugin is loaded: by the supervisor, before
it forks whoever counts them, so that all processes know them by the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastdns.errors import FastdnsError

# Codes of extended DNS errors (RFC 8914 section 4).
OTHER_ERROR = 0
NOT_READY = 14
NOT_AUTHORITATIVE = 20
NOT_SUPPORTED = 21
NO_REACHABLE_AUTHORITY = 22
NETWORK_ERROR = 23
INVALID_DATA = 24

# As _stats.MAX_REASONS.
MAX_REASONS = 256


@dataclass(frozen=True, slots=True)
class Reason:
    """One of them. name, reply: as metrics label it; reply: the code that the client gets, or "none".

    text: what the errors plugin logs; {} stands for what the plugin explains, {step} for the plugin of a step in
    Python. Without one it logs nothing. ede: the code of the extended DNS error that a client with EDNS gets, by
    RFC 8914 section 4; its text is the name. None: none, as the reply says all, or nothing more is known.
    """

    name: str
    reply: str
    text: str = ""
    ede: int | None = None


# By number; 0 is none. In the order of the enum Failure in _stats.pxd.
REASONS: list[Reason] = [
    Reason("", ""),
    Reason("no_next_plugin", "SERVFAIL", "no next plugin found", OTHER_ERROR),
    Reason("replays", "SERVFAIL", "upstream answers changed too often", OTHER_ERROR),
    Reason("in_flight", "SERVFAIL", "too many queries in flight", OTHER_ERROR),
    Reason("too_long", "SERVFAIL", "query is too long to be forwarded", OTHER_ERROR),
    Reason("no_zone", "REFUSED", ede=NOT_AUTHORITATIVE),
    Reason("edns_version", "BADVERS"),
    Reason("short", "none"),
    Reason("response", "none"),
    Reason("malformed", "FORMERR"),
    Reason("not_implemented", "NOTIMP"),
    Reason("plugin", "none"),
    Reason("plugin", "SERVFAIL"),
    Reason("plugin", "REFUSED", ede=NOT_SUPPORTED),
    Reason("plugin", "NOTIMP", ede=NOT_SUPPORTED),
    Reason("plugin", "other"),
    Reason("send", "none"),
    Reason("disconnected", "none"),
    Reason("unread", "none"),
    Reason("unserved", "none"),
    Reason("worker_died", "none"),
    Reason("step_timeout", "SERVFAIL", "plugin/{step}: no answer in time", OTHER_ERROR),
    Reason("panic", "SERVFAIL", "plugin/{step}: exception", OTHER_ERROR),
    Reason("step_reply", "SERVFAIL", "plugin/{step}: no reply to the question", OTHER_ERROR),
    Reason("client_share", "SERVFAIL", "client has too many queries in flight", OTHER_ERROR),
    Reason("deadline", "SERVFAIL", "context deadline exceeded", OTHER_ERROR),
    Reason("evicted", "none"),
]
# Those of the server, before any plugin is loaded.
OWN = tuple(REASONS)
_first: dict[str, int] = {}


def register(plugin: str, reasons: Sequence[Reason]) -> None:
    """Number a plugin's reasons, in their order. Raises FastdnsError where there is no room for them."""
    if plugin in _first or not reasons:
        return
    if len(REASONS) + len(reasons) > MAX_REASONS:
        raise FastdnsError(
            f"plugin/{plugin}: it has {len(reasons)} reasons of failures, "
            f"and there is room for {MAX_REASONS - len(REASONS)}"
        )
    _first[plugin] = len(REASONS)
    REASONS.extend(reasons)


def first_reason(plugin: str) -> int:
    """The number of a plugin's first reason; the others follow. Raises KeyError for one that was not loaded."""
    return _first[plugin]


def number_of(name: str, reply: str) -> int:
    """The number of one of the server's own reasons. Raises StopIteration."""
    return next(number for number, reason in enumerate(REASONS) if (reason.name, reason.reply) == (name, reply))
