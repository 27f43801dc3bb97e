"""Directives that CoreDNS once had, and what took their place: old Corefiles are still copied."""

from __future__ import annotations

# Directive -> what to do.
DIRECTIVES = {
    "proxy": "use forward",
    "federation": "no plugin took its place: remove the line",
    "reverse": "use template",
    "startup": "use on",
    "shutdown": "use on",
}


def removed(what: str | None) -> str:
    """The end of an error about a word that CoreDNS has removed; else ""."""
    return f"; CoreDNS has removed it: {what}" if what else ""
