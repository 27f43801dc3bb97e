"""A short run of the fuzzer on the ordinary build; ``make fuzz`` runs the long one under sanitizers."""

from tests.fuzz.run import fuzz, fuzz_replies, fuzz_table


def test_mangled_queries_are_answered_or_ignored_by_the_rules() -> None:
    assert fuzz(20_000, seed=1) > 5_000


def test_damaged_replies_are_refused_or_readable() -> None:
    assert fuzz_replies(4_000, seed=1) > 800


def test_damaged_replies_leave_nobody_waiting() -> None:
    assert fuzz_table(1_000, seed=1) > 100
