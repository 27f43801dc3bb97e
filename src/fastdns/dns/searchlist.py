"""The search list of a file like resolv.conf(5)."""

from __future__ import annotations

from fastdns.dns.names import wire_name

# Kubernetes takes 32 of a pod.
MAX_DOMAINS = 32


def search_list(text: str) -> tuple[bytes, ...]:
    """The domains of a file's text as lowercased wire names: those of its last line ``search`` or ``domain``.

    Raises ValueError, with the line, if there are more than MAX_DOMAINS, or one is no domain name.
    """
    found: list[str] = []
    at = 0
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words and words[0] in ("search", "domain"):
            found, at = words[1:] if words[0] == "search" else words[1:2], number
    if len(found) > MAX_DOMAINS:
        raise ValueError(f"line {at} has {len(found)} domains; at most {MAX_DOMAINS} are searched")
    try:
        return tuple(map(wire_name, found))
    except ValueError as error:
        raise ValueError(f"line {at}: {error}") from None
