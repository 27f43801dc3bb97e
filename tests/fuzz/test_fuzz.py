"""A short run of the fuzzer on the ordinary build; ``make fuzz`` runs the long one under sanitizers."""

from tests.dns._messages import copy_reply
from tests.fuzz.expressions import fuzz_expressions
from tests.fuzz.run import compare, fuzz, fuzz_replies, fuzz_table


def test_mangled_queries_are_answered_or_ignored_by_the_rules() -> None:
    assert fuzz(20_000, seed=1) > 5_000


def test_damaged_replies_are_refused_or_readable() -> None:
    assert fuzz_replies(4_000, seed=1) > 800


def test_damaged_replies_leave_nobody_waiting() -> None:
    assert fuzz_table(1_000, seed=1) > 100


def test_random_expressions_are_compiled_or_refused() -> None:
    assert fuzz_expressions(500, seed=1) > 200


def test_names_in_records_of_old_types_are_read_as_names() -> None:
    """A pointer in an MF record, which moves with the name that it points to, was taken for a finding."""
    name = b"\3WWW\7Example\3ORG\0"
    query = b"\0\1\1\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1"
    owner = b"\xc0\x10\0\1\0\1\0\0\0\5\0\4\x7f\0\0\1"
    target = b"\xc0\x0c\0\4\0\1\0\0\0\5\0\4\1*\xc0\x10"
    reply = b"\0\1\x81\x80\0\1\0\2\0\0\0\0" + name.swapcase() + b"\0\1\0\1" + owner + target
    copied = copy_reply(query, reply, ttl_s=30, max_bytes=65535)
    assert copied is not None and target not in copied
    compare(query, reply, copied, 30)
