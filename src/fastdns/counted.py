"""Numbers of things, for the log and for errors."""

from __future__ import annotations


def counted(count: int, thing: str, are: tuple[str, str] | None = None) -> str:
    """``1 line``, ``2 lines``. are: the verb behind it, of one and of several."""
    verb = "" if are is None else f" {are[count != 1]}"
    return f"{count} {thing}{'' if count == 1 else 's'}{verb}"
