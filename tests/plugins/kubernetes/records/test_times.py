"""Times of annotations."""

from __future__ import annotations

import pytest

from fastdns.plugins.kubernetes.records.times import seconds_since


def test_seconds_since():
    assert seconds_since("1970-01-01T00:00:10Z", 15.25) == 5.25
    assert seconds_since("1970-01-01T01:00:10.123456789+01:00", 11.0) == pytest.approx(0.876544, abs=1e-6)
    assert seconds_since("nonsense", 0.0) is None
