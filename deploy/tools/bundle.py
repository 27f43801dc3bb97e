"""The container of a Deployment, as an OCI runtime takes it: user, rights, limits, arguments, mounts.

https://github.com/opencontainers/runtime-spec/blob/main/config.md
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JSON = dict[str, Any]
# What runtimes take as RuntimeDefault here: Debian's package golang-github-containers-common has it.
PROFILE = Path("/usr/share/containers/seccomp.json")
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
# Of a rule, what a runtime reads.
KEYS = ("names", "action", "args", "errnoRet")
NAMESPACES = ("mount", "pid", "ipc", "uts")


@dataclass(frozen=True)
class Mount:
    """A file or folder of this machine in the container."""

    source: Path
    destination: str
    writable: bool = False


def quantity(text: str) -> int:
    """Bytes of a quantity such as 170Mi."""
    return int(text[:-2]) * UNITS[text[-2:]]


def seccomp(profile: JSON, capabilities: list[str], machine: str) -> JSON:
    """A profile as runtimes have it: of its rules, those that concern these capabilities and this machine."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[machine]
    have, rules = set(capabilities), []
    for rule in profile["syscalls"]:
        wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
        if architecture not in wanted.get("arches", [architecture]) or architecture in unwanted.get("arches", []):
            continue
        if not have.issuperset(wanted.get("caps", [])) or not have.isdisjoint(unwanted.get("caps", [])):
            continue
        rules.append({key: rule[key] for key in KEYS if rule.get(key) is not None})
    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile.get("defaultErrnoRet", 1),
        "architectures": [f"SCMP_ARCH_{machine.upper()}"],
        "syscalls": rules,
    }


def container(
    pod: JSON, entrypoint: list[str], root: Path, mounts: list[Mount], environ: dict[str, str], cgroup: str
) -> JSON:
    """config.json of the first container of a pod's specification. Networks are those of who starts it."""
    one = pod["containers"][0]
    of_pod, of_one = pod["securityContext"], one["securityContext"]
    if of_one["capabilities"]["drop"] != ["ALL"]:
        raise ValueError("a container that keeps a runtime's own capabilities is not what this runs")
    capabilities = [f"CAP_{name}" for name in of_one["capabilities"]["add"]]
    variables = {"PATH": "/usr/bin", **{each["name"]: each["value"] for each in one["env"]}, **environ}
    linux: JSON = {
        "namespaces": [{"type": name} for name in NAMESPACES],
        "cgroupsPath": f"/{cgroup}",
        "resources": {"memory": {"limit": quantity(one["resources"]["limits"]["memory"])}},
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    }
    if of_pod["seccompProfile"] == {"type": "RuntimeDefault"} and PROFILE.exists():
        linux["seccomp"] = seccomp(json.loads(PROFILE.read_text()), capabilities, platform.machine())
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(root), "readonly": of_one["readOnlyRootFilesystem"]},
        "process": {
            "args": [*entrypoint, *one["args"]],
            "env": [f"{name}={value}" for name, value in variables.items()],
            "cwd": "/",
            "user": {
                "uid": of_pod["runAsUser"], "gid": of_pod["runAsGroup"], "additionalGids": [of_pod["fsGroup"]],
            },
            # As containerd does: execve leaves a user other than root those that the program's file has, too.
            "capabilities": dict.fromkeys(("bounding", "permitted", "effective"), capabilities),
            "noNewPrivileges": not of_one["allowPrivilegeEscalation"],
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            *(
                {
                    "destination": each.destination,
                    "type": "bind",
                    "source": str(each.source),
                    "options": ["rbind", "rprivate", "rw" if each.writable else "ro"],
                }
                for each in mounts
            ),
        ],
        "linux": linux,
    }
