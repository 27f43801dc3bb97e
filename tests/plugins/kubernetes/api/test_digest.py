"""The table behind the consistency check, against a dictionary."""

from __future__ import annotations

import random

import pytest

from fastdns.plugins.kubernetes.api.digest import MASK_64, Digest, key_of, version_of


@pytest.mark.parametrize("seed", range(6))
def test_equals_a_dictionary(seed: int) -> None:
    rng = random.Random(seed)
    # Few homes, so that entries push each other along, the table's end included.
    keys = [1 + (rng.randrange(8) + 60) % 64 + 64 * rng.randrange(1 << 20) for _ in range(150)]
    digest, model = Digest(), dict[int, int]()
    for _ in range(3000):
        key = rng.choice(keys)
        if rng.random() < 0.5:
            model[key] = rng.randrange(1 << 64)
            digest.set(key, model[key])
        else:
            model.pop(key, None)
            digest.discard(key)
        assert len(digest) == len(model)
    assert dict(digest.items()) == model and sorted(digest.keys()) == sorted(model)
    assert all(digest.get(key) == model.get(key) for key in keys)


def test_versions_are_numbers_where_they_can_be() -> None:
    assert version_of("31397") == 31397
    assert version_of("") != version_of("x")
    assert 0 <= version_of("٣") <= MASK_64
    assert key_of("a", "b") != key_of("", "a/b")
