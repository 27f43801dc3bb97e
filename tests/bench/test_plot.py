"""Plots are SVG, and the same for the same figures."""

from __future__ import annotations

from fastdns.bench import plot


def test_plots_are_the_same_for_the_same_figures() -> None:
    groups = [plot.Group("hit", [plot.Bar("fastdns", 1.15, 1.1, 1.2), plot.Bar("<knot>", 1.4)])]
    made = plot.bars("CPU", groups, mark=1.0)
    assert made == plot.bars("CPU", groups, mark=1.0)
    assert "1.15 (1.10-1.20)" in made
    assert "&lt;knot&gt;" in made
    assert max(len(line) for line in made.splitlines()) < 250
    assert plot.shares("CDF", [1.0, 10.0, 5.0], unit="ms") == plot.shares("CDF", [10.0, 5.0, 1.0], unit="ms")
