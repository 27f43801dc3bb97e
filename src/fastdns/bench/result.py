"""What a run of the load generator gave."""

from __future__ import annotations

from dataclasses import dataclass

# Log-linear buckets: each power of two nanoseconds in 2^SUB_BITS equal parts, so a bound is at most 3% off.
SUB_BITS = 5
SUBS = 1 << SUB_BITS


def bucket_limit_ns(bucket: int) -> int:
    """The first value that is too large for a bucket."""
    if bucket < SUBS:
        return bucket + 1
    octave, part = divmod(bucket, SUBS)
    return (SUBS + part + 1) << (octave - 1)


@dataclass(frozen=True, slots=True)
class Result:
    """Counts of one run, and how long answers took.

    A query is answered or lost, in the end. An answer that fits no query under way (stray, late, or to another
    question) is mismatched, and answers nothing.
    """

    sent: int
    answered: int
    lost: int
    mismatched: int
    truncated: int
    # Of the sockets; not queries.
    errors: int
    answer_bytes: int
    elapsed_s: float
    max_ns: int
    # By rcode, 0 to 15.
    rcodes: tuple[int, ...]
    # (bucket, answers) of buckets that hold any, in ascending order.
    histogram: tuple[tuple[int, int], ...]

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answered / self.elapsed_s if self.elapsed_s else 0.0

    def percentile_us(self, percent: float) -> float:
        """The time within which so many percent of the answers came, in microseconds; 0 where none came."""
        wanted = self.answered * percent / 100
        seen = 0
        for bucket, count in self.histogram:
            seen += count
            if seen >= wanted:
                return min(bucket_limit_ns(bucket), self.max_ns) / 1000
        return self.max_ns / 1000
