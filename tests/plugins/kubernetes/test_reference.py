"""The reference of the property tests gives what the cases give: two readings of one specification."""

from __future__ import annotations

import pytest

from tests.plugins.kubernetes.cases import THEMES
from tests.plugins.kubernetes.reference import Reference
from tests.plugins.kubernetes.support import Case, Theme, expected, load_objects, resources_of

pytestmark = pytest.mark.native

# Of one synced block without a next plugin: what the reference speaks of.
PLAIN = [
    theme
    for theme in THEMES
    if theme.other is None and not theme.options.fallthrough and theme.options.unlisted is None
]


@pytest.mark.parametrize("theme", PLAIN, ids=lambda theme: theme.name)
def test_reference_gives_what_the_cases_give(theme: Theme):
    options = theme.options
    objects = [one for one in load_objects(theme.objects) if resources_of(one, options)]
    objects = [one for one in objects if "deletionTimestamp" not in one["metadata"]]
    reference = Reference(objects, options)

    def check(case: Case) -> None:
        want = expected(case, options)
        del want["aa"]
        assert reference.answer(case.qname, case.qtype).summary() == want, case.why

    for case in theme.cases:
        if case.qtype not in ("AXFR", "IXFR") and not case.qname.startswith("who."):
            check(case)
