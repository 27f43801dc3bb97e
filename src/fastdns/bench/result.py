"""The result of a run of the load generator.

Latencies are counted as HdrHistogram counts them, in nanoseconds with three significant digits. Buckets are the
indices of its array of counts, so that ``encoded`` only copies them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

# Log-linear buckets: each power of two nanoseconds in 2^SUB_BITS equal parts, so a bound is at most 0.1% off.
SUB_BITS = 10
SUBS = 1 << SUB_BITS
# The buckets of HdrHistogram(1, MAX_NS, 3); longer times are in the last one.
BUCKETS = 29 * SUBS
MAX_NS = (1 << 38) - 1
DIGITS = 3

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 99.99)

Histogram = tuple[tuple[int, int], ...]


def bucket_limit_ns(bucket: int) -> int:
    """The smallest value that is too large for a bucket."""
    if bucket < SUBS:
        return bucket + 1
    octave, part = divmod(bucket, SUBS)
    return (SUBS + part + 1) << (octave - 1)


def percentile_ns(histogram: Histogram, percent: float) -> int:
    """The time that this percentage of the counted times does not exceed; 0 if there are none."""
    wanted = max(1, math.ceil(sum(count for _, count in histogram) * percent / 100))
    seen = 0
    for bucket, count in histogram:
        seen += count
        if seen >= wanted:
            return bucket_limit_ns(bucket) - 1
    return 0


def merge_histograms(histograms: Iterable[Histogram]) -> Histogram:
    """The sum of histograms."""
    merged: Counter[int] = Counter()
    for histogram in histograms:
        merged.update(dict(histogram))
    return tuple(sorted(merged.items()))


def merge_latencies(parts: Iterable[Latencies]) -> Latencies:
    """All times of all parts."""
    some = [part for part in parts if part.histogram]
    if not some:
        return Latencies()
    return Latencies(
        merge_histograms(part.histogram for part in some),
        min(part.min_ns for part in some),
        max(part.max_ns for part in some),
        sum(part.sum_ns for part in some),
    )


def encoded(histogram: Histogram) -> str | None:
    """The histogram as HdrHistogram's compressed text (V2, base64), unit nanoseconds, for its tools and libraries.

    None if the package ``hdrhistogram`` is not installed.
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
class Latencies:
    """Times that were counted, in nanoseconds."""

    # (bucket, times) of the buckets that have any, in ascending order.
    histogram: Histogram = ()
    min_ns: int = 0
    max_ns: int = 0
    sum_ns: int = 0

    @property
    def count(self) -> int:
        """The number of times."""
        return sum(count for _, count in self.histogram)

    @property
    def mean_us(self) -> float:
        """The mean, in microseconds; 0 without times."""
        return self.sum_ns / self.count / 1000 if self.histogram else 0.0

    def percentile_us(self, percent: float) -> float:
        """The time that this percentage does not exceed, in microseconds; 0 without times."""
        return min(percentile_ns(self.histogram, percent), self.max_ns) / 1000


@dataclass(frozen=True, slots=True)
class Wrong:
    """An answer that differs from the expected one, as it came; a long one is cut where the generator cut it."""

    query: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """Counts and latencies of one run.

    A query that was sent is answered, lost, or interrupted (outstanding when the run was ended early). A datagram
    that answers no outstanding query is late (its query had been given up), duplicate (its query was answered) or
    mismatched (anything else: another ID or question).
    """

    sent: int
    answered: int
    lost: int
    mismatched: int
    truncated: int
    # Errors of sockets; these are not queries.
    errors: int
    answer_bytes: int
    # From the start to the last answer, or to the time when the last query was due or sent.
    elapsed_s: float
    max_ns: int
    # By rcode, 0 to 15.
    rcodes: tuple[int, ...]
    # (bucket, answers) of the buckets that have answers, in ascending order.
    histogram: Histogram
    min_ns: int = 0
    sum_ns: int = 0
    # Bytes of all sent queries, without UDP headers or TCP lengths.
    query_bytes: int = 0
    interrupted: int = 0
    # Open loop: due before the end, and not sent because too many others were outstanding.
    unsent: int = 0
    late: int = 0
    duplicates: int = 0
    # Responses that are not 200, and streams that the server has reset: no answers. HTTP only.
    stream_errors: int = 0
    # Connections made after the first one of each client.
    reconnects: int = 0
    # Connections from the first packet until queries can be sent; and how many of them resumed a TLS session.
    set_ups: Latencies = Latencies()
    resumed: int = 0
    # Answers that were compared with expected ones, and answers that differed.
    checked: int = 0
    wrong: int = 0
    wrong_samples: tuple[Wrong, ...] = ()
    # The part of the time in which the generator's processes had something to do, on average; 1.0: all of it.
    busy: float = 0.0
    # CPU time of the generator's processes, without the rounds that found nothing to do.
    cpu_ns: int = 0
    # Number of the generator's processes.
    processes: int = 1

    @property
    def first_connections(self) -> int:
        """The connections that were made before the run."""
        return self.set_ups.count - self.reconnects

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answered / self.elapsed_s if self.elapsed_s else 0.0

    def percentile_us(self, percent: float) -> float:
        """The latency that this percentage of the answers does not exceed, in microseconds; 0 without answers."""
        return min(percentile_ns(self.histogram, percent), self.max_ns) / 1000

    @property
    def mean_us(self) -> float:
        """The mean latency, in microseconds."""
        return self.sum_ns / self.answered / 1000 if self.answered else 0.0

    @property
    def stddev_us(self) -> float:
        """The standard deviation of latencies, from the histogram, in microseconds."""
        if not self.answered:
            return 0.0
        mean_ns = self.sum_ns / self.answered
        squares = sum(count * (bucket_limit_ns(bucket) - 1 - mean_ns) ** 2 for bucket, count in self.histogram)
        return math.sqrt(squares / self.answered) / 1000


# Fields that are not sums.
_OTHER = {"set_ups", "elapsed_s", "max_ns", "min_ns", "rcodes", "histogram", "wrong_samples", "busy"}
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
        set_ups=merge_latencies(part.set_ups for part in parts),
        wrong_samples=tuple(sample for part in parts for sample in part.wrong_samples)[:MAX_SAMPLES],
        busy=sum(part.busy * part.processes for part in parts) / processes,
    )


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of a run: when it ended (seconds from the start), and its counts."""

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
