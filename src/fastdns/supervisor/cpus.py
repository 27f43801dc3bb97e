"""How many workers this process may usefully run: CPUs by affinity, and the cgroup's quota."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from fastdns.errors import FastdnsError

MAX_WORKERS = 1024


def quota_cpus(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The CPU quota of this cgroup in CPUs, or None where there is none (cgroup v2 cpu.max, v1 cpu.cfs_*)."""
    try:
        quota, period = (root / "cpu.max").read_text().split()[:2]
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        pass
    try:
        quota_us = int((root / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((root / "cpu/cpu.cfs_period_us").read_text())
        return quota_us / period_us if quota_us > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def worker_count(configured: int | None, environ: Mapping[str, str]) -> int:
    """FASTDNS_WORKERS, else what multisocket says, else the CPUs that may be used. Raises FastdnsError."""
    text = environ.get("FASTDNS_WORKERS", "")
    if text:
        if not text.isdecimal() or not 1 <= int(text) <= MAX_WORKERS:
            raise FastdnsError(f"FASTDNS_WORKERS must be 1 to {MAX_WORKERS}, got {text!r}")
        return int(text)
    if configured is not None:
        return configured
    available = len(os.sched_getaffinity(0))
    quota = quota_cpus()
    if quota is not None:
        available = min(available, max(1, math.ceil(quota)))
    return min(available, MAX_WORKERS)
