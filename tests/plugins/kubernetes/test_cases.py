"""Every case of every theme: the reply's code, AA and three sections, compared as sets with their TTLs."""

from __future__ import annotations

import functools

import pytest

from fastdns.plugins.whoami._step import WhoamiStep
from tests.plugins.kubernetes.cases import THEMES
from tests.plugins.kubernetes.support import Case, Cluster, Theme, expected, summary

pytestmark = pytest.mark.native


@functools.cache
def cluster_of(index: int) -> Cluster:
    """One cluster a theme: asking changes nothing."""
    theme = THEMES[index]
    after = [WhoamiStep()] if theme.options.fallthrough else []
    return Cluster(
        theme.options,
        theme.objects,
        other=theme.other,
        after=after,
        extra_zones={"who.example.": [WhoamiStep()]},
    )


CASES = [
    pytest.param(index, case, id=f"{theme.name}: {case.why} ({case.qname} {case.qtype})")
    for index, theme in enumerate(THEMES)
    for case in theme.cases
]


def options_of(theme: Theme, case: Case):
    """The options of the block whose SOA record the case expects."""
    if theme.other is not None and case.soa in theme.other.zones:
        return theme.other
    return theme.options


@pytest.mark.parametrize(("index", "case"), CASES)
def test_case(index: int, case: Case):
    theme = THEMES[index]
    reply = cluster_of(index).ask(case.qname, case.qtype)
    assert summary(reply) == expected(case, options_of(theme, case))


def test_themes_are_named_once():
    names = [theme.name for theme in THEMES]
    assert len(set(names)) == len(names)
    assert len(CASES) >= 450
