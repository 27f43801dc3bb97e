"""A self-contained page: a title, what was run, on what and with which result, plots, and the text of a report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

STYLE = (
    "body{font:15px sans-serif;max-width:800px;margin:2em auto;color:#222}"
    "pre{background:#f4f4f4;padding:1em;overflow:auto}svg{max-width:100%}.result{font-size:20px;font-weight:bold}"
)


def page(
    title: str, opening: Sequence[str], plots: Sequence[str], lines: Sequence[str], report: dict[str, Any]
) -> str:
    """opening: what was run, on what, and the result, which is shown first. plots: SVG. lines: the report as text.
    report: the same as JSON, kept in the page for programs.
    """
    *what, result = opening
    # A "</" would end the script element.
    kept = json.dumps(report, indent=1).replace("</", "<\\/")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            f'<p class="result">{escape(result)}</p>',
            *(f"<p>{escape(line)}</p>" for line in what),
            *plots,
            "<pre>",
            *(escape(line) for line in lines),
            "</pre>",
            f'<script type="application/json" id="report">{kept}</script>',
            "</body></html>",
            "",
        ]
    )
