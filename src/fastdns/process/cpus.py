"""How many workers this process may usefully run: CPUs by affinity, and the cgroup's quota and memory."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastdns.errors import FastdnsError
from fastdns.process.cgroups import group_folders

MAX_WORKERS = 1024
MIB = 1 << 20
# What a server of a large cluster needs besides workers, and each worker: see docs/explanation/performance.md.
# Workers share less before Python 3.12.
BASE_BYTES = 80 * MIB
WORKER_BYTES = (7 if sys.version_info >= (3, 12) else 10) * MIB // 2


def whole_number(path: Path) -> int | None:
    """What a file of one number says, or None."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def quota_cpus(root: Path = Path("/")) -> float | None:
    """The CPU quota of this process's cgroups in CPUs, or None for none (version 2 cpu.max, 1 cpu.cfs_*)."""
    quotas = []
    for folder in group_folders("cpu", root):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (folder / "cpu.max").read_text().split()[:2]
            if quota != "max":
                quotas.append(int(quota) / int(period))
        quota_us = whole_number(folder / "cpu.cfs_quota_us") or -1
        period_us = whole_number(folder / "cpu.cfs_period_us") or 0
        if quota_us > 0 and period_us > 0:
            quotas.append(quota_us / period_us)
    return min(quotas, default=None)


def memory_limit_bytes(root: Path = Path("/")) -> int | None:
    """The memory that this process's cgroups may take, or None for no limit (memory.max, memory.limit_in_bytes)."""
    limits = []
    for folder in group_folders("memory", root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = whole_number(folder / name)
            # Version 1 says "none" by a number that no machine has.
            if limit is not None and limit < 1 << 60:
                limits.append(limit)
    return min(limits, default=None)


@dataclass(frozen=True, slots=True)
class Default:
    """The number of workers that nobody has set, and what limits it."""

    workers: int
    reason: str


def default_workers() -> Default:
    """As many as there are CPUs for, and memory."""
    cpus = len(os.sched_getaffinity(0))
    best = Default(cpus, f"{cpus} CPUs")
    quota = quota_cpus()
    if quota is not None and math.ceil(quota) < best.workers:
        best = Default(max(1, math.ceil(quota)), f"the control group's CPU quota is {quota:g} CPUs")
    memory = memory_limit_bytes()
    if memory is not None:
        fit = max(1, (memory - BASE_BYTES) // WORKER_BYTES)
        if fit < best.workers:
            best = Default(fit, f"the control group's memory limit is {memory // MIB} MiB")
    if best.workers > MAX_WORKERS:
        best = Default(MAX_WORKERS, "the most that there can be")
    return best


def worker_count(configured: int | None, environ: Mapping[str, str]) -> int:
    """FASTDNS_WORKERS, else what multisocket says, else what CPUs and memory allow. Raises FastdnsError."""
    text = environ.get("FASTDNS_WORKERS", "")
    if text:
        if not text.isdecimal() or not 1 <= int(text) <= MAX_WORKERS:
            raise FastdnsError(f"FASTDNS_WORKERS must be 1 to {MAX_WORKERS}, got {text!r}")
        return int(text)
    if configured is not None:
        return configured
    return default_workers().workers


def limit_note(configured: int | None, environ: Mapping[str, str]) -> str:
    """What to log where fewer workers than CPUs are the default; "" otherwise."""
    if configured is not None or environ.get("FASTDNS_WORKERS", ""):
        return ""
    default = default_workers()
    cpus = len(os.sched_getaffinity(0))
    if default.workers >= cpus:
        return ""
    return f"{default.workers} workers for {cpus} CPUs: {default.reason}; FASTDNS_WORKERS sets another number"
