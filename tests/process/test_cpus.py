"""How many workers: what is asked for, else what the host and its cgroup allow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastdns.errors import FastdnsError
from fastdns.process import cpus
from fastdns.process.cpus import limit_note, memory_limit_bytes, quota_cpus, worker_count

V2 = "30 1 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate\n"
V1 = (
    "31 1 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 1 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)
V1_OWN = "5:cpu,cpuacct:/\n4:memory:/\n"
POD = "/kubepods.slice/pod1.slice/one.scope"
CPU1 = "cpu,cpuacct"


def host(root: Path, own: str, mounts: str, files: dict[str, str]) -> Path:
    """A root of a file system with these control groups; files are below /sys/fs/cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(own)
    (root / "proc/self/mountinfo").write_text("22 1 8:1 / / rw - ext4 /dev/root rw\nstrange\n" + mounts)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("own", "mounts", "files", "quota"),
    [
        pytest.param("0::/\n", V2, {"cpu.max": "max 100000\n"}, None, id="v2 without limit"),
        pytest.param("0::/\n", V2, {"cpu.max": "150000 100000\n"}, 1.5, id="v2"),
        pytest.param("0::/\n", V2, {"cpu.max": "10000 100000\n"}, 0.1, id="v2 a tenth"),
        pytest.param(f"0::{POD}\n", V2, {f"{POD}/cpu.max": "200000 100000\n"}, 2.0, id="v2 without a namespace"),
        pytest.param(
            f"0::{POD}\n", V2,
            {f"{POD}/cpu.max": "max 100000\n", "kubepods.slice/pod1.slice/cpu.max": "50000 100000\n"}, 0.5,
            id="v2 the pod's, not the container's",
        ),
        pytest.param(
            f"0::{POD}\n", V2.replace(" / /sys", f" {POD} /sys"), {"cpu.max": "300000 100000\n"}, 3.0,
            id="v2 the host's path, the container's mount",
        ),
        pytest.param(
            "0::/../other\n", V2, {"cpu.max": "300000 100000\n"}, 3.0, id="v2 outside of the namespace's root"
        ),
        pytest.param(V1_OWN, V1, {f"{CPU1}/cpu.cfs_quota_us": "-1\n", f"{CPU1}/cpu.cfs_period_us": "100000\n"},
                     None, id="v1 without"),
        pytest.param(V1_OWN, V1, {f"{CPU1}/cpu.cfs_quota_us": "200000\n", f"{CPU1}/cpu.cfs_period_us": "100000\n"},
                     2.0, id="v1"),
        pytest.param(
            f"5:cpu,cpuacct:{POD}\n", V1,
            {f"{CPU1}{POD}/cpu.cfs_quota_us": "50000\n", f"{CPU1}{POD}/cpu.cfs_period_us": "100000\n"}, 0.5,
            id="v1 without a namespace",
        ),
        pytest.param("0::/\n", V2, {"cpu.max": "strange\n"}, None, id="what cannot be read is no limit"),
        pytest.param("", "", {}, None, id="no cgroup"),
    ],
)  # fmt: skip
def test_quota(tmp_path: Path, own: str, mounts: str, files: dict[str, str], quota: float | None) -> None:
    assert quota_cpus(host(tmp_path, own, mounts, files)) == quota


@pytest.mark.parametrize(
    ("own", "mounts", "files", "limit"),
    [
        pytest.param("0::/\n", V2, {"memory.max": "178257920\n"}, 178257920, id="v2"),
        pytest.param("0::/\n", V2, {"memory.max": "max\n"}, None, id="v2 without limit"),
        pytest.param(
            f"0::{POD}\n", V2, {f"{POD}/memory.max": "max\n", "kubepods.slice/memory.max": "4096\n"}, 4096,
            id="v2 of a group above",
        ),
        pytest.param(V1_OWN, V1, {"memory/memory.limit_in_bytes": "178257920\n"}, 178257920, id="v1"),
        pytest.param(V1_OWN, V1, {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None,
                     id="v1 without limit"),
        pytest.param(f"4:memory:{POD}\n", V1, {f"memory{POD}/memory.limit_in_bytes": "8192\n"}, 8192,
                     id="v1 without a namespace"),
        pytest.param(
            f"4:memory:{POD}\n0::{POD}\n", V1 + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
            {f"memory{POD}/memory.limit_in_bytes": "8192\n"}, 8192, id="both versions",
        ),
        pytest.param("", "", {}, None, id="no /proc to speak of"),
    ],
)  # fmt: skip
def test_memory_limit(tmp_path: Path, own: str, mounts: str, files: dict[str, str], limit: int | None) -> None:
    assert memory_limit_bytes(host(tmp_path, own, mounts, files)) == limit


@pytest.mark.parametrize(
    ("affinity", "quota", "memory_mib", "workers", "said"),
    [
        pytest.param(32, None, None, 32, "", id="nothing to say"),
        pytest.param(32, None, 170, 18, "18 workers for 32 CPUs: the control group's memory limit is 170 MiB",
                     id="the manifest's limit on a large host"),
        pytest.param(32, 4.0, 170, 4, "4 workers for 32 CPUs: the control group's CPU quota is 4 CPUs",
                     id="the quota is the tighter one"),
        pytest.param(2, None, 170, 2, "", id="room for more"),
        pytest.param(4, None, 30, 1, "1 workers for 4 CPUs: the control group's memory limit is 30 MiB",
                     id="one at least"),
    ],
)  # fmt: skip
def test_memory_limits_the_default(
    monkeypatch: pytest.MonkeyPatch, affinity: int, quota: float | None, memory_mib: int | None, workers: int,
    said: str,
) -> None:  # fmt: skip
    """32 workers were started in 170 MiB, and killed before they were ready."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(affinity)))
    monkeypatch.setattr(cpus, "quota_cpus", lambda: quota)
    monkeypatch.setattr(cpus, "memory_limit_bytes", lambda: memory_mib and memory_mib << 20)
    # As before Python 3.12; afterwards there is room for more.
    monkeypatch.setattr(cpus, "WORKER_BYTES", 5 << 20)
    assert worker_count(None, {}) == workers
    note = limit_note(None, {})
    assert note.startswith(said) and bool(note) == bool(said)
    assert worker_count(9, {}) == 9 and limit_note(9, {}) == ""
    assert worker_count(None, {"FASTDNS_WORKERS": "32"}) == 32 and limit_note(None, {"FASTDNS_WORKERS": "32"}) == ""


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
    monkeypatch.setattr(cpus, "memory_limit_bytes", lambda: None)
    assert worker_count(configured, {"FASTDNS_WORKERS": environ} if environ else {}) == workers


@pytest.mark.parametrize("text", ["0", "-1", "1025", "two", "1.5", " 2", "²"])
def test_a_wrong_environment(text: str) -> None:
    with pytest.raises(FastdnsError, match=r"FASTDNS_WORKERS must be 1 to 1024, got "):
        worker_count(None, {"FASTDNS_WORKERS": text})
