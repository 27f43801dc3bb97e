"""A short run of each target on the ordinary build; ``make fuzz`` runs the long one under sanitizers."""

import pytest

from tests.dns._messages import copy_reply
from tests.fuzz.copies import compare
from tests.fuzz.run import TARGETS

# Messages for each target, and the least that comes through where it works: about a third of what does.
CASES = {
    "queries": (20_000, 5_000), "replies": (4_000, 400), "outstanding": (20_000, 20), "chains": (50_000, 160),
    "patterns": (10_000, 70), "expressions": (25_000, 90), "templates": (50_000, 140), "records": (50_000, 200),
    "template-steps": (50_000, 20), "zones": (50_000, 350), "zone-files": (50_000, 30), "hosts": (50_000, 90),
    "transfers-in": (50_000, 20), "transfers-out": (50_000, 80), "services": (50_000, 60),
    "signatures": (10_000, 40), "databases": (50_000, 160), "networks": (50_000, 30),
    "headers": (20_000, 800), "requests": (20_000, 60), "quic": (5_000, 20), "grpc": (8_000, 15),
    "streams": (5_000, 40),
}  # fmt: skip


def test_each_target_has_a_short_run() -> None:
    assert CASES.keys() == TARGETS.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_target_finds_nothing(name: str) -> None:
    messages, least = CASES[name]
    target = TARGETS[name]
    if not target.can_run:
        pytest.skip(f"no {target.needs}")
    assert target.run(messages // target.messages, 1) > least


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
