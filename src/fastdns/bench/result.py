"""What a run of the load generator gave.

Times are counted as HdrHistogram counts them, with three significant digits of nanoseconds: buckets are the indices
of its array of counts, so that ``encoded`` only copies them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

# Log-linear buckets: each power of two nanoseconds in 2^SUB_BITS equal parts, so a bound is at most 0.1% off.
SUB_BITS = 10
SUBS = 1 << SUB_BITS
# What HdrHistogram(1, MAX_NS, 3) holds; what took longer is in the last one.
BUCKETS = 29 * SUBS
MAX_NS = (1 << 38) - 1
DIGITS = 3

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 99.99)

Histogram = tuple[tuple[int, int], ...]


def bucket_limit_ns(bucket: int) -> int:
    """The first value that is too large for a bucket."""
    if bucket < SUBS:
        return bucket + 1
    octave, part = divmod(bucket, SUBS)
    return (SUBS + part + 1) << (octave - 1)


def percentile_ns(histogram: Histogram, percent: float) -> int:
    """The time within which so many percent of what was counted came; 0 where nothing was."""
    wanted = max(1, math.ceil(sum(count for _, count in histogram) * percent / 100))
    seen = 0
    for bucket, count in histogram:
        seen += count
        if seen >= wanted:
            return bucket_limit_ns(bucket) - 1
    return 0


def merge_histograms(histograms: Iterable[Histogram]) -> Histogram:
    """The counts of all of them."""
    merged: Counter[int] = Counter()
    for histogram in histograms:
        merged.update(dict(histogram))
    return tuple(sorted(merged.items()))


def encoded(histogram: Histogram) -> str | None:
    """The histogram as HdrHistogram's compressed text (V2, base64), unit nanoseconds, for its tools and libraries.

    None where the package ``hdrhistogram`` is not installed.
    """
    try:
        from hdrh.histogram import HdrHistogram
    except ImportError:
        return None
    made = HdrHistogram(1, MAX_NS, DIGITS)
    for bucket, count in histogram:
        made.record_value(min(bucket_limit_ns(bucket) - 1, MAX_NS), count)
    text: bytes = made.encode()
    return text.decode()


@dataclass(frozen=True, slots=True)
class Wrong:
    """An answer that is not what was expected of its query, as it came; one cut short at what was kept of it."""

    query: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """Counts of one run, and how long answers took.

    A query that was sent is answered, lost, or interrupted (under way when the run was ended early). A datagram
    that answers no query under way is late (its query had been given up), duplicate (answered already) or
    mismatched (anything else: another ID or question), and answers nothing.
    """

    sent: int
    answered: int
    lost: int
    mismatched: int
    truncated: int
    # Of the sockets; not queries.
    errors: int
    answer_bytes: int
    # From the start to the last answer, or to when the last query was or would have been sent.
    elapsed_s: float
    max_ns: int
    # By rcode, 0 to 15.
    rcodes: tuple[int, ...]
    # (bucket, answers) of buckets that hold any, in ascending order.
    histogram: Histogram
    min_ns: int = 0
    sum_ns: int = 0
    # Of all queries sent, without headers of UDP or lengths of TCP.
    query_bytes: int = 0
    interrupted: int = 0
    # Of the open loop: due before the end, and not sent as too many others were under way.
    unsent: int = 0
    late: int = 0
    duplicates: int = 0
    # Connections made after the first one of each client; TCP only.
    reconnects: int = 0
    # Answers that were compared with expected ones, and those that differed.
    checked: int = 0
    wrong: int = 0
    wrong_samples: tuple[Wrong, ...] = ()
    # For how long the generator's processes had something to do, on average; 1.0: all the time.
    busy: float = 0.0
    # CPU time of the generator's processes, without that for looking whether there is something to do.
    cpu_ns: int = 0
    # How many processes that is.
    processes: int = 1

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answered / self.elapsed_s if self.elapsed_s else 0.0

    def percentile_us(self, percent: float) -> float:
        """The time within which so many percent of the answers came, in microseconds; 0 where none came."""
        return min(percentile_ns(self.histogram, percent), self.max_ns) / 1000

    @property
    def mean_us(self) -> float:
        """The average time of an answer, in microseconds."""
        return self.sum_ns / self.answered / 1000 if self.answered else 0.0

    @property
    def stddev_us(self) -> float:
        """The standard deviation of the times, from the histogram, in microseconds."""
        if not self.answered:
            return 0.0
        mean_ns = self.sum_ns / self.answered
        squares = sum(count * (bucket_limit_ns(bucket) - 1 - mean_ns) ** 2 for bucket, count in self.histogram)
        return math.sqrt(squares / self.answered) / 1000


# Fields that are no sums.
_OTHER = {"elapsed_s", "max_ns", "min_ns", "rcodes", "histogram", "wrong_samples", "busy"}
_SUMS = [one.name for one in fields(Result) if one.name not in _OTHER]
MAX_SAMPLES = 8


def merge(results: Iterable[Result]) -> Result:
    """The result of processes that ran side by side from the same moment on."""
    parts = list(results)
    if not parts:
        raise ValueError("no results to merge")
    processes = sum(part.processes for part in parts)
    return Result(
        **{name: sum(getattr(part, name) for part in parts) for name in _SUMS},
        elapsed_s=max(part.elapsed_s for part in parts),
        max_ns=max(part.max_ns for part in parts),
        min_ns=min((part.min_ns for part in parts if part.answered), default=0),
        rcodes=tuple(map(sum, zip(*(part.rcodes for part in parts), strict=True))),
        histogram=merge_histograms(part.histogram for part in parts),
        wrong_samples=tuple(sample for part in parts for sample in part.wrong_samples)[:MAX_SAMPLES],
        busy=sum(part.busy * part.processes for part in parts) / processes,
    )


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of a run, for its course: when it ended (seconds from the start), and what came in it."""

    end_s: float
    length_s: float
    sent: int
    answered: int
    lost: int
    p50_us: float
    p99_us: float
    max_us: float


@dataclass(slots=True)
class Course:
    """How a run went: intervals in order."""

    intervals: list[Interval] = field(default_factory=list)
