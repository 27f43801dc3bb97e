"""A fastdns that runs as a real process on ports of the loopback, and a load of queries on it."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import random
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import dns.message
import dns.query
import dns.rdatatype
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[1]
PORTS = ("DNS_PORT", "OTHER_PORT", "HEALTH_PORT", "READY_PORT", "METRICS_PORT")
# A busy machine starts an interpreter and three children in this time.
START_S = 30.0

# What most tests serve. Words in capitals are replaced: ports, and the path of the manifests.
COREFILE = """\
cluster.local:DNS_PORT 10.in-addr.arpa:DNS_PORT {
    bind 127.0.0.1
    errors
    health 127.0.0.1:HEALTH_PORT
    ready 127.0.0.1:READY_PORT
    kubernetes cluster.local 10.in-addr.arpa {
        manifests "MANIFESTS"
    }
    prometheus 127.0.0.1:METRICS_PORT
}
"""

MANIFESTS = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.20
  clusterIPs: [10.96.0.20]
  ports: [{name: http, port: 80, protocol: TCP}]
"""
WEB = "web.shop.svc.cluster.local."


def service(name: str, address: str, namespace: str = "shop") -> str:
    """The manifest of one more service."""
    return (
        "---\napiVersion: v1\nkind: Service\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{clusterIP: {address}, clusterIPs: [{address}], ports: [{{port: 80}}]}}\n"
    )


# Where the next free port is looked for. None is given twice within a thousand.
PLACES = itertools.count(random.randrange(1000))


def free_port(row: int = 1) -> int:
    """A port that nobody has, below the range from which the system takes clients' ports; the first of so many.

    Every worker of pytest-xdist has ports of its own: servers share a port without an error (SO_REUSEPORT), so two
    that were given the same one at the same time would answer each other's questions.
    """
    first = 20000 + 1000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12)
    while True:
        places = [next(PLACES) % 1000 for _ in range(row)]
        if places[-1] < places[0]:
            continue
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for place in places:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("0.0.0.0", first + place))
            return first + places[0]


def has_address(address: str) -> bool:
    """Whether this host can bind to an address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
            return True
    except OSError:
        return False


def wait_until(what: Callable[[], object], limit_s: float = 10.0, why: str = "") -> None:
    """Poll until what() is true. Fails after limit_s."""
    ends = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < ends, f"not within {limit_s} s: {why or what}"
        time.sleep(0.01)


def in_child(body: Callable[[], object]) -> int:
    """Run body in a forked process; its pid. It ends with 1 where body raises."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        body()
        code = 0
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def children(pid: int) -> dict[int, str]:
    """The children of a process that have not ended, and their titles."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(parent) == pid and state not in "ZX":
                    title = (entry / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
                    found[int(entry.name)] = title.decode()
    return found


def zombies(pid: int) -> list[int]:
    """The children of a process that have ended and were not waited for."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == pid:
                found.append(int(status.parent.name))
    return found


def open_fds() -> int:
    """How many file descriptors this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@dataclass
class Pids:
    """The processes of a server."""

    supervisor: int
    watcher: int | None = None
    workers: dict[str, int] = field(default_factory=dict)


class Server:
    """``with Server(folder, corefile) as server``: written, started, listening; ended and reaped afterwards."""

    def __init__(
        self,
        folder: Path,
        corefile: str = COREFILE,
        *,
        manifests: str = MANIFESTS,
        arguments: Sequence[str] = ("-conf", "Corefile"),
        environ: Mapping[str, str] | None = None,
        workers: int = 2,
        wait: bool = True,
        prefix: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in PORTS}
        self.manifests = folder / "cluster.yaml"
        self.manifests.write_text(manifests)
        self.corefile = folder / "Corefile"
        self.write_corefile(corefile)
        self.output = folder / "log"
        self.wait = wait
        self.command = [*prefix, sys.executable, "-m", "fastdns.cli", *map(self.fill, arguments)]
        # Each scrape of a test tells what is now.
        ours = {"FASTDNS_WORKERS": str(workers), "FASTDNS_METRICS_MAX_AGE_MS": "0"}
        self.environ = {**os.environ, **ours, **(environ or {})}
        self.environ = {name: value for name, value in self.environ.items() if value}

    def fill(self, text: str) -> str:
        """Put ports and paths in place of the words in capitals."""
        for name, port in self.ports.items():
            text = text.replace(name, str(port))
        return text.replace("MANIFESTS", str(self.manifests))

    def write_corefile(self, text: str) -> None:
        """Replace the Corefile as a whole, as an editor does."""
        beside = self.folder / "Corefile.new"
        beside.write_text(self.fill(text))
        beside.replace(self.corefile)

    def __enter__(self) -> Server:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        if self.wait:
            try:
                wait_until(lambda: "\nfastdns-" in "\n" + self.log or self.process.poll() is not None, START_S)
                assert self.process.poll() is None, f"it has ended:\n{self.log}"
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if error is not None:
            print(f"--- log of fastdns\n{self.log}")

    # ------------------------------------------------------------------------------------------ what it says

    @property
    def port(self) -> int:
        """The port of DNS."""
        return self.ports["DNS_PORT"]

    @property
    def log(self) -> str:
        """Everything that it has written."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def wait_for_log(self, text: str, limit_s: float = 10.0, count: int = 1) -> None:
        """Wait until the log holds a text, or holds it so often."""
        wait_until(lambda: self.log.count(text) >= count, limit_s, f"{text!r} in the log:\n{self.log}")

    def query(
        self, name: str = WEB, kind: str = "A", *, tcp: bool = False, at: str = "127.0.0.1", port: int = 0,
        timeout_s: float = 5.0,
    ) -> dns.message.Message:  # fmt: skip
        """Ask once."""
        ask = dns.query.tcp if tcp else dns.query.udp
        return ask(dns.message.make_query(name, kind), at, timeout_s, port=port or self.port)

    def addresses(self, name: str = WEB, kind: str = "A", *, tcp: bool = False) -> list[str]:
        """The data of the answers of a type, sorted."""
        wanted = dns.rdatatype.from_text(kind)
        answer = self.query(name, kind, tcp=tcp).answer
        return sorted(str(data) for rrset in answer for data in rrset if rrset.rdtype == wanted)

    def http(self, path: str, port: str = "") -> tuple[int, str]:
        """GET a path of the endpoint that has it: status and body. Status 0 where nobody listens."""
        names = {"/health": "HEALTH_PORT", "/ready": "READY_PORT", "/metrics": "METRICS_PORT"}
        url = f"http://127.0.0.1:{self.ports[port or names[path]]}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""

    def samples(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Every sample of /metrics by name and labels."""
        status, body = self.http("/metrics")
        assert status == 200
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
        }

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        return sum(
            value
            for (of, has), value in self.samples().items()
            if of == name and labels.items() <= dict(has).items()
        )

    # ------------------------------------------------------------------------------------------ what it does

    def pids(self) -> Pids:
        """Its processes, by their titles."""
        found = Pids(self.process.pid)
        for pid, title in children(self.process.pid).items():
            if title == "fastdns: watcher":
                found.watcher = pid
            elif title.startswith("fastdns: worker "):
                found.workers[title.removeprefix("fastdns: ")] = pid
        return found

    def send_signal(self, number: int) -> None:
        """Send a signal to the supervisor."""
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM, limit_s: float = 15.0) -> int:
        """Send a signal and wait for the exit code."""
        self.send_signal(number)
        return self.process.wait(limit_s)

    def reload(self, count: int = 1) -> None:
        """SIGUSR1, and wait until it says that it has reloaded."""
        self.send_signal(signal.SIGUSR1)
        self.wait_for_log("Reloading complete", 20, count)


@dataclass
class Waiting:
    """A query on its way."""

    sent_at: float
    again: bool


class Load:
    """``with Load(port, rate)``: queries at a steady rate from several sockets, until the block ends.

    A query without an answer is sent once more after retry_s (0: never), as resolvers do. Counts: sent (without
    repetitions), answered, retried, lost, and replies by rcode.
    """

    SOCKETS = 16
    TICK_S = 0.005

    def __init__(self, port: int, rate: int = 2000, name: str = WEB, *, retry_s: float = 0.0) -> None:
        self.rate = rate
        self.retry_s = retry_s
        self.tail = dns.message.make_query(name, "A", id=0).to_wire()[2:]
        self.sent = self.answered = self.retried = self.lost = self.strange = 0
        self.rcodes: Counter[int] = Counter()
        self.stopping = threading.Event()
        self.selector = selectors.DefaultSelector()
        self.sockets = []
        for index in range(self.SOCKETS):
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.connect(("127.0.0.1", port))
            one.setblocking(False)
            self.selector.register(one, selectors.EVENT_READ, index)
            self.sockets.append(one)
        self.waiting: dict[tuple[int, int], Waiting] = {}
        self.numbers = [0] * self.SOCKETS
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self) -> Load:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self.thread.join(30)
        self.selector.close()
        for one in self.sockets:
            one.close()

    def run(self) -> None:
        """Send, receive, repeat."""
        begun = time.monotonic()
        turn = 0
        while not self.stopping.is_set():
            due = int((time.monotonic() - begun) * self.rate) - self.sent
            # After a pause of this process: a burst would measure the kernel's buffers.
            for _ in range(min(due, 50)):
                self.send(turn % self.SOCKETS, again=False)
                self.sent += 1
                turn += 1
            if due > 50:
                begun += (due - 50) / self.rate
            self.receive(self.TICK_S)
            self.repeat()
        ends = time.monotonic() + max(1.0, 2 * self.retry_s)
        while self.waiting and time.monotonic() < ends:
            self.receive(0.02)
            self.repeat()
        self.lost += len(self.waiting)

    def send(self, index: int, *, again: bool) -> None:
        """One query."""
        self.numbers[index] = number = (self.numbers[index] + 1) & 0xFFFF
        if (index, number) in self.waiting:
            self.lost += 1
        self.waiting[index, number] = Waiting(time.monotonic(), again)
        # Nobody listens (yet): the answer will be missing, and is counted then.
        with contextlib.suppress(OSError):
            self.sockets[index].send(struct.pack(">H", number) + self.tail)

    def receive(self, limit_s: float) -> None:
        """Take what has come."""
        for key, _ in self.selector.select(limit_s):
            with contextlib.suppress(OSError):
                while True:
                    reply = key.fileobj.recv(4096)  # type: ignore[union-attr]
                    number, flags = struct.unpack_from(">HH", reply)
                    if self.waiting.pop((key.data, number), None) is None:
                        self.strange += 1
                    else:
                        self.answered += 1
                        self.rcodes[flags & 15] += 1

    def repeat(self) -> None:
        """Ask again what has not been answered in time; what was asked twice is lost."""
        if not self.retry_s:
            return
        now = time.monotonic()
        for (index, number), query in list(self.waiting.items()):
            if now - query.sent_at < self.retry_s:
                # In the order in which they were sent.
                return
            del self.waiting[index, number]
            if query.again:
                self.lost += 1
            else:
                self.retried += 1
                self.send(index, again=True)

    def run_for(self, seconds: float) -> None:
        """Let it go on for a while, measured in queries sent: a slow machine takes longer."""
        target = self.sent + int(seconds * self.rate)
        wait_until(lambda: self.sent >= target, 10 * seconds + 10, "queries to be sent")


def http_get(port: int, path: str) -> tuple[int, str]:
    """GET from the loopback: status and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@contextlib.contextmanager
def occupied(kind: int = socket.SOCK_STREAM, address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port that another program holds for itself."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as holder:
        holder.bind((address, port))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        yield holder.getsockname()[1]
