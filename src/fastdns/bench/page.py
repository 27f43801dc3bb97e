"""A self-contained page: a title, plots and the text of a report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

STYLE = (
    "body{font:15px sans-serif;max-width:800px;margin:2em auto;color:#222}"
    "pre{background:#f4f4f4;padding:1em;overflow:auto}svg{max-width:100%}"
)


def page(title: str, plots: Sequence[str], lines: Sequence[str], report: dict[str, Any]) -> str:
    """plots: SVG; lines: the report as text; report: the same as JSON, kept in the page for programs."""
    # A "</" would end the script element.
    kept = json.dumps(report, indent=1).replace("</", "<\\/")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            *plots,
            "<pre>",
            *(escape(line) for line in lines),
            "</pre>",
            f'<script type="application/json" id="report">{kept}</script>',
            "</body></html>",
            "",
        ]
    )
