"""A short run of the fuzzer on the ordinary build; ``make fuzz`` runs the long one under sanitizers."""

from tests.fuzz.run import fuzz


def test_mangled_queries_are_answered_or_ignored_by_the_rules() -> None:
    assert fuzz(20_000, seed=1) > 5_000
