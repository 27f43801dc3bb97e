"""Runs the image of a folder as the Deployment's container beside a synthetic API server, and measures it.

runc starts it, as containerd and CRI-O do, with what deploy/kustomize says: user, capabilities, read-only root,
memory limit, seccomp. The root is an overlay, so the folder is not changed. deploy/try-image gives this a network
of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dns.message
import dns.rcode
import yaml
from deploy.tools.bundle import Mount, container

from fastdns.bench.apiserver.process import Process

ROOT = Path(__file__).parents[2]
DEPLOYMENT = ROOT / "deploy" / "kustomize" / "deployment" / "deployment.yaml"
# kubeadm's, as docs/how-to/replace-coredns.md shows it.
COREFILE = """\
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
"""
SECRETS = "/var/run/secrets/kubernetes.io/serviceaccount"
SHELLS = ("sh", "ash", "bash", "dash", "busybox", "apt", "apt-get", "dpkg", "perl", "pip", "pip3", "pip3.13")
# Bounds of what is asked, in seconds and queries.
WAIT_S = 60.0
QUERIES = 20_000


@dataclass
class Measured:
    """What is printed, and what is not as it has to be."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def say(self, what: str, value: str, holds: bool = True) -> None:
        """A figure, and whether it is within its bound."""
        self.lines.append((what, value))
        print(f"{what:<44}{value}{'' if holds else '   WRONG'}", flush=True)
        if not holds:
            self.wrong.append(what)


def layer(folder: Path, to: Path) -> None:
    """Write folder as the one layer of an image: names in order, so that the same content gives the same bytes."""
    with tarfile.open(to, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, path.relative_to(folder), recursive=False)


def measure_size(folder: Path, work: Path, measured: Measured) -> None:
    """The image's layer, compressed as registries have it."""
    tar = work / "layer.tar"
    layer(folder, tar)
    content = tar.read_bytes()
    measured.say("size, uncompressed", f"{len(content) / 1e6:.1f} MB")
    packed = len(gzip.compress(content, 6, mtime=0))
    measured.say("size, gzip -6 (at most 45 MB)", f"{packed / 1e6:.1f} MB", packed <= 45e6)
    if shutil.which("zstd"):
        packed = len(subprocess.run(["zstd", "-q", "-c", tar], check=True, capture_output=True).stdout)
        measured.say("size, zstd -3", f"{packed / 1e6:.1f} MB")
    tar.unlink()


def check_contents(folder: Path, measured: Measured) -> None:
    """Nothing that a person at a prompt, or a process with other rights, could use."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    shells = sorted(path.name for path in files if path.name in SHELLS and path.stat().st_mode & 0o111)
    measured.say("shells and package managers", ", ".join(shells) or "none", not shells)
    gaining = sorted(str(path) for path in files if path.stat().st_mode & 0o6000)
    measured.say("files with another user's rights", ", ".join(gaining) or "none", not gaining)


@dataclass
class Running:
    """A container that runs."""

    name: str
    process: subprocess.Popen[bytes]
    started_s: float

    @property
    def pid(self) -> int:
        """The server's first process."""
        state = subprocess.run(["runc", "state", self.name], check=True, capture_output=True).stdout
        return int(json.loads(state)["pid"])

    def pids(self) -> list[int]:
        """All of its processes."""
        listed = subprocess.run(["runc", "ps", "-f", "json", self.name], check=True, capture_output=True).stdout
        return [int(pid) for pid in json.loads(listed)]

    def stats(self) -> dict[str, Any]:
        """What its cgroup counts."""
        printed = subprocess.run(["runc", "events", "--stats", self.name], check=True, capture_output=True).stdout
        found: dict[str, Any] = json.loads(printed)["data"]
        return found

    def cpu_s(self) -> float:
        """CPU time of all of its processes until now."""
        return int(self.stats()["cpu"]["usage"]["total"]) / 1e9

    def memory_bytes(self) -> dict[str, int]:
        """What its cgroup counts, and the proportional share of memory of its processes (PSS), all together."""
        memory = self.stats()["memory"]
        raw = memory["raw"]
        inactive = raw.get("total_inactive_file", raw.get("inactive_file", 0))
        pss = 0
        for pid in self.pids():
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            pss += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
        usage = memory["usage"]
        return {"usage": usage["usage"], "working_set": usage["usage"] - inactive, "max": usage["max"], "pss": pss}


@contextlib.contextmanager
def running(folder: Path, work: Path, server: Process, entrypoint: str) -> Iterator[Running]:
    """The container, from the moment at which runc is started."""
    name = f"fastdns-try-{os.getpid()}-{time.monotonic_ns()}"
    place = work / name
    for part in ("upper", "overlay", "root", "secrets", "config", "snapshot"):
        (place / part).mkdir(parents=True)
    place.chmod(0o755)
    layers = f"lowerdir={folder},upperdir={place / 'upper'},workdir={place / 'overlay'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, place / "root"], check=True)
    (place / "config" / "Corefile").write_text(COREFILE)
    (place / "resolv.conf").write_text("nameserver 127.0.0.9\n")
    for file, to in (("token_file", "token"), ("ca_file", "ca.crt")):
        shutil.copy(server.info[file], place / "secrets" / to)
        (place / "secrets" / to).chmod(0o644)
    os.chown(place / "snapshot", 65532, 65532)
    mounts = [
        Mount(place / "config", "/etc/coredns"),
        Mount(place / "resolv.conf", "/etc/resolv.conf"),
        Mount(place / "secrets", SECRETS),
        Mount(place / "snapshot", "/var/lib/fastdns", writable=True),
    ]
    address = urlsplit(server.url)
    environ = {
        "KUBERNETES_SERVICE_HOST": str(address.hostname), "KUBERNETES_SERVICE_PORT": str(address.port),
        "POD_NAMESPACE": "kube-system",
    }  # fmt: skip
    pod = yaml.safe_load(DEPLOYMENT.read_text())["spec"]["template"]["spec"]
    config = container(pod, [entrypoint], place / "root", mounts, environ, name)
    (place / "config.json").write_text(json.dumps(config))
    with (place / "log").open("wb") as log:
        started_s = time.monotonic()
        process = subprocess.Popen(["runc", "run", "--bundle", place, name], stdout=log, stderr=log)
        try:
            yield Running(name, process, started_s)
        except BaseException:
            print((place / "log").read_text()[-3000:], file=sys.stderr)
            raise
        finally:
            subprocess.run(["runc", "kill", name, "KILL"], check=False, capture_output=True)
            process.wait(10)
            subprocess.run(["umount", place / "root"], check=False)


def service(number: int) -> str:
    """The name of a Service of the synthetic cluster. Each hundredth has no address."""
    return f"svc-{number // 99 * 100 + number % 99:05d}.ns-000.svc.cluster.local."


def ask(name: str, timeout_s: float) -> dns.message.Message | None:
    """One reply over UDP; None without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout_s)
        try:
            client.connect(("127.0.0.1", 53))
            client.send(dns.message.make_query(name, "A").to_wire())
            return dns.message.from_wire(client.recv(4096))
        except OSError:
            return None


def until_answered(name: str, container: Running) -> float:
    """Seconds from the start to the first answer with an address. SystemExit if there is none."""
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s and container.process.poll() is None:
        reply = ask(name, 0.05)
        if reply is not None and reply.rcode() == dns.rcode.NOERROR and reply.answer:
            return time.monotonic() - container.started_s
        time.sleep(0.002)
    raise SystemExit(f"try-image: no answer to {name} within {WAIT_S:g} s")


def check_rights(container: Running, measured: Measured) -> None:
    """What the kernel says of the server's process."""
    lines = Path(f"/proc/{container.pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    users = set(status["Uid"].split() + status["Gid"].split())
    measured.say("user and group", ", ".join(sorted(users)), users == {"65532"})
    for name in ("CapPrm", "CapEff", "CapBnd"):
        measured.say(f"capabilities, {name}", f"{int(status[name], 16):#x}", int(status[name], 16) == 1 << 10)
    measured.say("no-new-privileges", status["NoNewPrivs"], status["NoNewPrivs"] == "1")
    measured.say("seccomp (2: a filter)", status["Seccomp"], status["Seccomp"] == "2")
    options = next(
        line.split()[5]
        for line in Path(f"/proc/{container.pid}/mountinfo").read_text().splitlines()
        if line.split()[4] == "/"
    )
    measured.say("root file system", options.split(",")[0], "ro" in options.split(","))
    command = ["runc", "exec", container.name, "/bin/sh", "-c", "true"]
    shell = subprocess.run(command, check=False, capture_output=True)
    measured.say("exec of /bin/sh", "refused" if shell.returncode else "runs", shell.returncode != 0)


def try_start(folder: Path, work: Path, measured: Measured, asked: argparse.Namespace) -> None:
    """The first answer after the start, in a small cluster."""
    with Process(services=100, namespaces=1, directory=work / "small") as server:
        took, cpu = [], []
        for number in range(asked.rounds):
            with running(folder, work, server, asked.entrypoint) as container:
                took.append(until_answered(service(0), container))
                cpu.append(container.cpu_s())
                if number == 0:
                    check_rights(container, measured)
    best = min(took)
    bound_s = asked.start
    measured.say(f"first answer (at most {bound_s:g} s)", f"{best:.2f} s, best of {asked.rounds}", best <= bound_s)
    measured.say("CPU time of a start, runc's included", f"{min(cpu):.2f} s")
    measured.say("all starts", " ".join(f"{each:.2f}" for each in took) + " s")


def try_memory(folder: Path, work: Path, entrypoint: str, measured: Measured, services: int) -> None:
    """Memory with a large cluster, after queries."""
    with (
        Process(services=services, namespaces=1, directory=work / "large") as server,
        running(folder, work, server, entrypoint) as container,
    ):
        took_s = until_answered(service(0), container)
        measured.say(f"first answer with {services} Services", f"{took_s:.2f} s")
        named = services // 100 * 99
        answered = sum(ask(service(number % named), 1.0) is not None for number in range(QUERIES))
        measured.say("queries answered", f"{answered} of {QUERIES}", answered == QUERIES)
        limit = 170 << 20
        memory = container.memory_bytes()
        for name, value in memory.items():
            measured.say(f"memory, {name} (at most 170 MiB)", f"{value / (1 << 20):.1f} MiB", value < limit)
        ended = container.process.poll()
        measured.say("killed by the memory limit", "no" if ended is None else "yes", ended is None)


def main() -> int:
    """Returns 1 if something is not as it has to be."""
    parser = argparse.ArgumentParser(prog="deploy/try-image", description=__doc__)
    parser.add_argument("folder", type=Path, help="what deploy/image has made")
    parser.add_argument("--services", type=int, default=10_000, help="of the cluster whose memory is measured")
    parser.add_argument("--rounds", type=int, default=5, help="starts")
    parser.add_argument("--start", type=float, default=0.5, help="seconds until the first answer, at most (0.5)")
    parser.add_argument("--entrypoint", default="/coredns", help="command of the container (default: /coredns)")
    parser.add_argument("--only", choices=("size", "start", "memory"), help="measure only this")
    asked = parser.parse_args()
    folder, measured = asked.folder.absolute(), Measured()
    with tempfile.TemporaryDirectory(prefix="fastdns-try-") as temporary:
        work = Path(temporary)
        work.chmod(0o755)
        if asked.only in (None, "size"):
            measure_size(folder, work, measured)
            check_contents(folder, measured)
        if asked.only in (None, "start"):
            try_start(folder, work, measured, asked)
        if asked.only in (None, "memory"):
            try_memory(folder, work, asked.entrypoint, measured, asked.services)
    return 1 if measured.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
