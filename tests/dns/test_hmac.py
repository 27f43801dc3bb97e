"""Keyed digests, against Python's."""

import hashlib
import hmac
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.dns._hmac import hmac_digest

pytestmark = pytest.mark.native

DIGESTS = ("sha1", "sha224", "sha256", "sha384", "sha512")


@pytest.mark.parametrize("digest", range(5), ids=DIGESTS)
def test_messages_and_secrets_around_the_size_of_a_block(digest: int) -> None:
    rng = random.Random(digest)
    for length in (*range(140), 183, 184, 185, 255, 256, 257, 1000, 70000):
        message = rng.randbytes(length)
        for secret in (b"", rng.randbytes(length), rng.randbytes(129)):
            assert hmac_digest(secret, [message], digest) == hmac.new(secret, message, DIGESTS[digest]).digest()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.lists(st.binary(max_size=200), max_size=8), st.integers(0, 4))
def test_a_message_in_parts(secret: bytes, parts: list[bytes], digest: int) -> None:
    expected = hmac.new(secret, b"".join(parts), getattr(hashlib, DIGESTS[digest])).digest()
    assert hmac_digest(secret, parts, digest) == expected


def test_a_digest_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="0 to 4, got 5"):
        hmac_digest(b"", [], 5)
