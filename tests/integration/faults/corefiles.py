"""Corefiles for reloads: each changes the text of tests.support.COREFILE."""

from __future__ import annotations

from collections.abc import Callable

# They are refused.
BROKEN: list[Callable[[str], str]] = [
    lambda text: text + "}",
    lambda text: text.replace("errors", "errs"),
    lambda text: text.replace("    kubernetes", "    loadbalance nonsense\n    kubernetes"),
    lambda text: text[: len(text) // 2],
    lambda text: text.replace("127.0.0.1:METRICS_PORT", "192.0.2.1:METRICS_PORT"),
]
# They are served.
WHOLE: list[Callable[[str], str]] = [
    lambda text: text,
    lambda text: text.replace("    errors\n", "    errors\n    loadbalance\n"),
    lambda text: text.replace("    errors\n", "    errors\n    cache 30\n    log\n"),
    lambda text: text.replace("    errors\n", "    errors\n    multisocket 3\n"),
    lambda text: text + "other.example:OTHER_PORT {\n    bind 127.0.0.1\n    whoami\n}\n",
]
