"""A fastdns as a cluster has it; clients, upstreams and changes of the cluster make each of its metrics move."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from fastdns.bench.apiserver.objects import service
from fastdns.bench.apiserver.process import Process
from tests.integration.faults.upstream import Upstreams
from tests.support import Server

# Words in capitals: as tests.support fills them, and the addresses of upstreams. No other plugin is needed.
COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    errors
    log . {
        class error
    }
    health 127.0.0.1:HEALTH_PORT
    ready 127.0.0.1:READY_PORT
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig KUBECONFIG
        snapshot SNAPSHOT
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }
    prometheus 127.0.0.1:METRICS_PORT
    forward . GOOD
    cache 30 {
        success 256
        prefetch 1 1m 90%
        serve_stale
    }
    reload
    loop
    loadbalance
}
bad.test:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    forward . SERVFAIL
}
down.test:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    forward . 127.0.0.1:OTHER_PORT
}
silent.test:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    forward . BLACK_HOLE {
        read_timeout 100ms
        max_concurrent 2
    }
}
"""
# Type and name of a turn of the clients; over TCP and with DO where it says so.
TURN = (
    ("A", "kubernetes.default.svc.cluster.local.", ""),
    ("AAAA", "kubernetes.default.svc.cluster.local.", ""),
    ("A", "nothing.default.svc.cluster.local.", ""),
    ("SRV", "_https._tcp.kubernetes.default.svc.cluster.local.", "tcp"),
    ("PTR", "1.0.96.10.in-addr.arpa.", ""),
    ("A", "www.example.org.", "do"),
    ("A", "www.example.org.", "tcp do"),
    ("AAAA", "www.example.org.", ""),
    ("A", "one.bad.test.", ""),
    ("A", "one.down.test.", ""),
)


class Clients:
    """Ask TURN over and over, each time for one more name of the world, until the block ends."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=what, daemon=True) for what in (self.run, self.wait)]

    def __enter__(self) -> Clients:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)

    def ask(self, kind: str, name: str, how: str = "", timeout_s: float = 1.0) -> None:
        """Once; an answer that does not come is no matter."""
        message = dns.message.make_query(name, kind, want_dnssec="do" in how)
        with contextlib.suppress(dns.exception.DNSException, OSError):
            (dns.query.tcp if "tcp" in how else dns.query.udp)(message, "127.0.0.1", timeout_s, port=self.port)

    def run(self) -> None:
        """Everything that is answered soon."""
        turn = 0
        while not self.stopping.wait(0.1):
            for kind, name, how in TURN:
                self.ask(kind, name, how)
            turn += 1
            for number in range(8):
                self.ask("A", f"name-{8 * turn + number}.example.org.")

    def wait(self) -> None:
        """Names whose upstream says nothing, some at once."""
        turn = 0
        while not self.stopping.wait(0.5):
            turn += 1
            asking = [
                threading.Thread(target=self.ask, args=("A", f"name-{turn}-{number}.silent.test."))
                for number in range(4)
            ]
            for one in asking:
                one.start()
            for one in asking:
                one.join()


@contextlib.contextmanager
def loaded(folder: Path) -> Iterator[Server]:
    """A server under the load."""
    kubeconfig = folder / "kubeconfig"
    with (
        Process(services=20, endpoints=4, kubeconfig=kubeconfig) as api,
        Upstreams("good", "servfail", "black_hole") as ups,
    ):
        text = COREFILE.replace("KUBECONFIG", str(kubeconfig)).replace("SNAPSHOT", str(folder / "snapshot"))
        for kind, address in ups.to.items():
            text = text.replace(kind.upper(), address)
        with Server(folder, text, workers=1) as server:
            api.post("churn", {"per_second": 20})
            # An object that cannot be served whole.
            api.post("put", service("odd", "default", external_name="10.0.0.1..example"))
            with Clients(server.port):
                server.write_corefile(server.corefile.read_text().replace("cache 30", "cache 31"))
                server.reload()
                # The watches must begin anew, and their place is gone: everything is listed again.
                api.post("compact")
                api.post("disconnect")
                yield server
