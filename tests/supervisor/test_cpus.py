"""How many workers: what is asked for, else what the host and its cgroup allow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastdns.errors import FastdnsError
from fastdns.supervisor import cpus
from fastdns.supervisor.cpus import quota_cpus, worker_count


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        pytest.param({"cpu.max": "max 100000\n"}, None, id="v2 without limit"),
        pytest.param({"cpu.max": "150000 100000\n"}, 1.5, id="v2"),
        pytest.param({"cpu.max": "10000 100000\n"}, 0.1, id="v2 a tenth"),
        pytest.param({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None, id="v1 without"),
        pytest.param({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0, id="v1"),
        pytest.param({"cpu.max": "strange\n"}, None, id="what cannot be read is no limit"),
        pytest.param({"cpu.max": "100000 0\n"}, None, id="v2 with a period of nothing"),
        pytest.param({"cpu.max": ""}, None, id="an empty file"),
        pytest.param({"cpu/cpu.cfs_quota_us": "5\n", "cpu/cpu.cfs_period_us": "0\n"}, None, id="v1, likewise"),
        pytest.param({}, None, id="no cgroup"),
    ],
)
def test_quota(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert quota_cpus(tmp_path) == quota


@pytest.mark.parametrize(
    ("configured", "environ", "affinity", "quota", "workers"),
    [
        pytest.param(None, "", 4, None, 4, id="as many as CPUs"),
        pytest.param(None, "", 4, 1.5, 2, id="the quota rounds up"),
        pytest.param(None, "", 4, 0.1, 1, id="one at least"),
        pytest.param(None, "", 2, 8.0, 2, id="a quota above the CPUs"),
        pytest.param(7, "", 2, 1.0, 7, id="multisocket says so"),
        pytest.param(7, "3", 2, 1.0, 3, id="the environment has the last word"),
        pytest.param(None, "", 2000, None, 1024, id="bounded"),
    ],
)
def test_worker_count(
    monkeypatch: pytest.MonkeyPatch,
    configured: int | None,
    environ: str,
    affinity: int,
    quota: float | None,
    workers: int,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(affinity)))
    monkeypatch.setattr(cpus, "quota_cpus", lambda: quota)
    assert worker_count(configured, {"FASTDNS_WORKERS": environ} if environ else {}) == workers


@pytest.mark.parametrize("text", ["0", "-1", "1025", "two", "1.5", " 2", "²"])
def test_a_wrong_environment(text: str) -> None:
    with pytest.raises(FastdnsError, match=r"FASTDNS_WORKERS must be 1 to 1024, got "):
        worker_count(None, {"FASTDNS_WORKERS": text})
