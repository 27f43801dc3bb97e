"""``fastdns demo``: an example cluster on the loopback, on free ports; and what each edit of it changes in answers.

A second process looks at the manifests and asks the server, as any client would. It prints each answer that a
change of the files has changed, and how long after the change. It ends with the server.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from fastdns.errors import FastdnsError

DNS_PORT = 1053
# Path -> the port that it usually has.
HTTP_PORTS = {"/health": 8080, "/ready": 8181, "/metrics": 9153}
COREFILE = """\
cluster.local:{dns} in-addr.arpa:{dns} ip6.arpa:{dns} {{
    bind 127.0.0.1
    errors
    health 127.0.0.1:{health}
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        manifests "{manifests}"
        pods insecure
    }}
    prometheus 127.0.0.1:{metrics}
    loadbalance
}}
"""
SUFFIXES = (".yaml", ".yml", ".json")
# More names than this are not asked at each change.
MAX_NAMES = 1000
LOOK_S = 0.05
# For so long after a change of a file an answer may change; when one has, so long for the others.
SETTLE_S = 3.0
MORE_S = 0.1
TIMEOUT_S = 1.0

Answers = dict[tuple[str, str], tuple[str, ...]]


# What is served


def is_taken(port: int, kind: socket.SocketKind) -> bool:
    """Whether a program has a port of 127.0.0.1. Two servers of one user would share the port and its queries."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # Ignore connections that have ended (TIME_WAIT).
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def free_port(wanted: int, kinds: Sequence[socket.SocketKind]) -> int:
    """The port, or another one if a program has it."""
    while any(is_taken(wanted, kind) for kind in kinds):
        with socket.socket(socket.AF_INET, kinds[0]) as probe:
            probe.bind(("127.0.0.1", 0))
            wanted = probe.getsockname()[1]
    return wanted


def choose_ports(dns: int | None) -> dict[str, int]:
    """The port of "dns" and of each path. dns: the one that was asked for. Raises FastdnsError if it is taken."""
    both = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    if dns is not None and any(is_taken(dns, kind) for kind in both):
        raise FastdnsError(f"127.0.0.1:{dns} is taken: give -dns.port another port, or none for a free one")
    ports = {"dns": free_port(DNS_PORT, both) if dns is None else dns}
    for path, port in HTTP_PORTS.items():
        # A port that is free now is not so twice.
        while (chosen := free_port(port, (socket.SOCK_STREAM,))) in ports.values():
            port = 0
        ports[path] = chosen
    return ports


def example(folder: Path) -> Path:
    """The example cluster, to be edited: the file of a checkout, or a copy of the package's in a folder."""
    local = Path("deploy/example/cluster.yaml")
    if local.exists():
        return local
    copy = folder / "cluster.yaml"
    shutil.copy(str(resources.files("fastdns") / "example.yaml"), copy)
    return copy


def corefile(ports: Mapping[str, int], manifests: Path) -> str:
    """What is served."""
    named = {name.removeprefix("/"): port for name, port in ports.items()}
    return COREFILE.format(manifests=manifests.resolve(), **named)


def told(ports: Mapping[str, int], manifests: Path, asked: int | None) -> list[str]:
    """What a user is told once the server answers. asked: the DNS port that was asked for."""
    at = f"@127.0.0.1 -p {ports['dns']}"
    usual = {"dns": DNS_PORT if asked is None else asked, **HTTP_PORTS}
    moved = [f"{usual[name]} ({name})" for name, port in ports.items() if port != usual[name]]
    probes = " ".join(f"http://127.0.0.1:{ports[path]}{path}" for path in ("/health", "/ready"))
    return [
        "",
        f"The cluster in {manifests} is served on 127.0.0.1:{ports['dns']}, UDP and TCP. Try:",
        f"  dig {at} kubernetes.default.svc.cluster.local",
        f"  dig {at} +tcp web.shop.svc.cluster.local AAAA",
        f"  dig {at} _http._tcp.web.shop.svc.cluster.local SRV",
        f"  dig {at} db.shop.svc.cluster.local",
        f"  dig {at} -x 10.96.0.1",
        f"Edit {manifests}: each answer that changes is shown here, such as after",
        f"  sed -i s/10.96.12.34/10.96.12.99/ {manifests}",
        *([f"Other programs have the ports {', '.join(moved)}: free ones are taken instead."] if moved else []),
        f"Probes: {probes}",
        f"Metrics: http://127.0.0.1:{ports['/metrics']}/metrics    End with Ctrl-C.",
    ]


def start_telling(port: int, manifests: Path) -> None:
    """Start the process that shows what edits change."""
    command = [sys.executable, "-m", "fastdns.demo", str(port), str(manifests.resolve())]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, start_new_session=True)


# What edits change


def files_of(manifests: Path) -> list[Path]:
    """The files that are served."""
    if manifests.is_file():
        return [manifests]
    return sorted(path for path in manifests.rglob("*") if path.suffix in SUFFIXES)


def stamps(manifests: Path) -> dict[Path, tuple[int, int]]:
    """When each file was last changed, in ns of wall-clock time, and its size."""
    found = {}
    for path in files_of(manifests):
        try:
            status = path.stat()
        except OSError:
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found


def names_in(manifests: Path) -> list[str]:
    """The names of all Services; of files that cannot be read none: the server says what is wrong with them."""
    import yaml

    found: dict[str, None] = {}
    for path in files_of(manifests):
        try:
            documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        for one in documents:
            for item in (one.get("items") or [one]) if isinstance(one, dict) else ():
                if (
                    isinstance(item, dict)
                    and item.get("kind") == "Service"
                    and isinstance(item.get("metadata"), dict)
                ):
                    name, namespace = (item["metadata"].get(key) for key in ("name", "namespace"))
                    found[f"{name}.{namespace or 'default'}.svc.cluster.local"] = None
    return list(found)[:MAX_NAMES]


def ask(port: int, names: Sequence[str]) -> Answers:
    """The addresses of names by the server, sorted, or why there is none. What gets no answer is left out."""
    from dnslib import QTYPE, RCODE, DNSRecord

    found: Answers = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(TIMEOUT_S)
        client.connect(("127.0.0.1", port))
        for name in names:
            for qtype in ("A", "AAAA"):
                query = DNSRecord.question(name, qtype)
                try:
                    client.send(query.pack())
                    while (reply := DNSRecord.parse(client.recv(65535))).header.id != query.header.id:
                        pass
                except OSError:
                    continue
                said = tuple(sorted(str(rr.rdata) for rr in reply.rr if QTYPE[rr.rtype] == qtype))
                code = RCODE[reply.header.rcode]
                found[name, qtype] = said or (("no data",) if code == "NOERROR" else (code,))
    return found


def changes(before: Answers, after: Answers) -> Iterator[str]:
    """A line for each answer that is another one."""
    for (name, qtype), said in after.items():
        was = before.get((name, qtype), ("NXDOMAIN",))
        # A name that comes or goes has data of one family, often.
        if said != was and not {*said, *was} <= {"no data", "NXDOMAIN"}:
            yield f"  {name} {qtype}: {' '.join(was)} -> {' '.join(said)}"


def follow(port: int, manifests: Path) -> Iterator[str]:
    """Lines about each change of the files, for ever."""
    names = names_in(manifests)
    seen, answers = stamps(manifests), ask(port, names)
    while True:
        time.sleep(LOOK_S)
        now = stamps(manifests)
        if now == seen:
            continue
        changed = [path for path in now.keys() | seen.keys() if now.get(path) != seen.get(path)]
        written_ns = max((now[path][0] for path in changed if path in now), default=time.time_ns())
        seen = now
        names = list(dict.fromkeys([*names, *names_in(manifests)]))
        after, took_ms = settled(port, names, answers, written_ns)
        lines = list(changes(answers, after))
        yield f"{', '.join(sorted(path.name for path in changed))} has changed; " + (
            f"seen in answers {took_ms:,.0f} ms later:" if lines else "no answer is another one"
        )
        yield from lines
        answers = after


def settled(port: int, names: Sequence[str], before: Answers, written_ns: int) -> tuple[Answers, float]:
    """The answers when they do not change any more, and how many ms after a moment the first one was another."""
    deadline = time.monotonic() + SETTLE_S
    took_ms: float | None = None
    while True:
        after = ask(port, names)
        if took_ms is None and any(changes(before, after)):
            took_ms = max(0.0, (time.time_ns() - written_ns) / 1e6)
            deadline = time.monotonic() + MORE_S
        if time.monotonic() >= deadline:
            return after, took_ms or 0.0


def main() -> None:
    """The process that tells: its words are the port and the path of the manifests."""
    from fastdns.children import die_with_parent

    die_with_parent(os.getppid())
    for line in follow(int(sys.argv[1]), Path(sys.argv[2])):
        print(line, flush=True)


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Where the copy of the example is, until the demo ends."""
    return tempfile.TemporaryDirectory(prefix="fastdns-demo-")


if __name__ == "__main__":
    main()
