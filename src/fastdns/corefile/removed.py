"""What CoreDNS once had and has no more, and what took its place: old Corefiles are still copied."""

from __future__ import annotations

# Directive -> what to do.
DIRECTIVES = {
    "proxy": "use forward",
    "federation": "no plugin took its place: remove the line",
    "reverse": "use template",
    "startup": "use on",
    "shutdown": "use on",
}

# (Directive, option) -> what to do.
OPTIONS = {
    ("kubernetes", "upstream"): "names elsewhere are looked up through the server itself: remove the line",
    ("kubernetes", "resyncperiod"): "changes are watched: remove the line",
    ("kubernetes", "cidrs"): "write the reverse zones, or their CIDRs, behind the plugin's name",
    ("kubernetes", "transfer"): "use the plugin transfer",
    ("file", "upstream"): "names elsewhere are looked up through the server itself: remove the line",
    ("file", "transfer"): "use the plugin transfer",
    ("auto", "transfer"): "use the plugin transfer",
    ("secondary", "upstream"): "names elsewhere are looked up through the server itself: remove the line",
}


def removed(what: str | None) -> str:
    """The end of an error about a word that is in DIRECTIVES or OPTIONS; else ""."""
    return f"; CoreDNS has removed it: {what}" if what else ""
