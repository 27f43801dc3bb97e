"""fastdns as a container of a pod: an own root, processes, network and user, with what kubelet puts into it."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.integration.namespaces import Namespace
from tests.support import children, wait_until

# Of the image: see deploy/Dockerfile.
USER = 65532
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
Volume = Mapping[str, str]

# In namespaces of its own: volumes are mounted over directories of links to what the host has there, then the root
# is read-only. Beside the capability of the manifest there is one to read a checkout that is root's alone.
ENTER = """\
set -e
shadow() {
    mkdir -p "$own/host$1" "$own/top$1"
    mount --bind "$1" "$own/host$1"
    for one in "$1"/*; do ln -s "$own/host$one" "$own/top$one"; done
    mount --bind "$own/top$1" "$1"
}
own=$1 config=$2 account=$3 resolv=$4
shift 4
mount -t tmpfs tmpfs "$own"
run=$(readlink -f /var/run)
shadow /etc
shadow "$run"
rm -rf /etc/coredns /etc/resolv.conf "$run/secrets"
mkdir -p /etc/coredns "$run/secrets/kubernetes.io/serviceaccount"
mount --bind "$config" /etc/coredns
mount --bind "$account" "$run/secrets/kubernetes.io/serviceaccount"
cp "$resolv" /etc/resolv.conf
mount -o remount,bind,ro /
cd /
# A new user loses the signal of --kill-child.
exec setpriv --reuid USER --regid USER --clear-groups --no-new-privs --pdeathsig KILL \\
    --inh-caps=-all,CAPS --ambient-caps=-all,CAPS --bounding-set=-all,CAPS "$@"
""".replace("USER", str(USER)).replace("CAPS", "+net_bind_service,+dac_read_search")


def write_volume(folder: Path, files: Volume) -> Path:
    """Files as kubelet writes those of a ConfigMap or a token: links through a directory that is replaced whole."""
    data = folder / "..2026_11_23_05_47_51.1"
    data.mkdir(parents=True)
    (folder / "..data").symlink_to(data.name)
    for name, text in files.items():
        (data / name).write_text(text)
        (folder / name).symlink_to(f"..data/{name}")
    return folder


class Pod:
    """One container in one network. ``start`` and ``kill`` may follow each other; the network stays, as a pod's."""

    def __init__(
        self,
        folder: Path,
        network: Namespace,
        address: str,
        *,
        arguments: Sequence[str],
        ready: tuple[int, str],
        corefile: str,
        account: Volume,
        resolv: str,
        environ: Mapping[str, str],
    ) -> None:
        self.network = network
        self.address = address
        self.ready = ready
        self.output = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        own, resolv_file = folder / "own", folder / "resolv.conf"
        own.mkdir(parents=True)
        resolv_file.write_text(resolv)
        volumes = write_volume(folder / "config", {"Corefile": corefile}), write_volume(folder / "account", account)
        # With the test's process, by whatever it ends, the container ends too.
        self.command = [
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("sh", "-c", ENTER, "sh", *map(str, (own, *volumes, resolv_file))),
            *(sys.executable, "-m", "fastdns.cli", *arguments),
        ]
        passed_on = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        # Counters are compared before and after: each scrape has its own rendering.
        ours = {"PYTHONDONTWRITEBYTECODE": "1", "FASTDNS_METRICS_MAX_AGE_MS": "0"}
        self.environ = {**passed_on, **ours, **environ}

    def start(self) -> None:
        """Start the container. From the main thread: whose end would end it."""
        with self.output.open("ab") as output, self.network.inside():
            self.process = subprocess.Popen(
                self.command, env=self.environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def first(self) -> int:
        """The process that is the first one in the container."""
        assert self.process is not None
        (pid,) = children(self.process.pid)
        return pid

    def kill(self) -> None:
        """SIGKILL to the first process, with which the kernel kills all that the container has."""
        assert self.process is not None
        os.kill(self.first(), signal.SIGKILL)
        self.process.wait(10)

    def close(self) -> None:
        """End the container if it runs."""
        if self.process is not None and self.process.poll() is None:
            for pid in children(self.process.pid):
                os.kill(pid, signal.SIGKILL)
            # By itself it ends after its child; without one it has not come so far.
            try:
                self.process.wait(1)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def log(self) -> str:
        """Everything that it has written."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def get(self, port: int, path: str, timeout_s: float = 5.0) -> tuple[int, str]:
        """GET over the network of the calling thread: status and body. Status 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{self.address}:{port}{path}", timeout=timeout_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, http.client.HTTPException):
            # Also one that is killed in the middle of a reply.
            return 0, ""

    def is_ready(self) -> bool:
        """The readiness probe."""
        return self.get(*self.ready, timeout_s=1)[0] == 200

    def wait_until_ready(self, limit_s: float = 30.0) -> None:
        """Fails with its log where it does not become ready."""
        assert self.process is not None
        process = self.process
        wait_until(lambda: process.poll() is not None or self.is_ready(), limit_s, f"ready\n{self.log}")
        assert process.poll() is None, f"it has ended:\n{self.log}"

    def families(self) -> set[str]:
        """The names of what /metrics has samples or help of."""
        status, body = self.get(9153, "/metrics")
        assert status == 200
        return {family.name for family in text_string_to_metric_families(body)}

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        status, body = self.get(9153, "/metrics")
        assert status == 200
        return sum(
            sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )
