"""How each server is set up for a role: the text of its files, the words of its command. Nothing is started here.

Roles: AUTHORITY answers the cluster's names from what it has; MISS forwards every query to one upstream; CACHED
answers names of that upstream from its cache. A server that has no such role gives None.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.plugin_lines import FILES, LINES
from bench.population import OUTSIDE, ZONE
from fastdns.bench.processes import free_port

AUTHORITY, MISS, CACHED = "authority", "miss", "cached"
# Connections that a server must accept; the default limit of several servers is lower.
TCP_CLIENTS = 1000


@dataclass(frozen=True, slots=True)
class Task:
    """The task of a server, and its data.

    program: its path, or the words by which fastdns is called. names: how many are asked for; caches have room for
    twice as many. zone: what it is authoritative for; its records are in the directory. upstream: a port.
    """

    program: str
    role: str
    directory: Path
    port: int
    workers: int
    names: int
    upstream: int = 0
    zone: str = ZONE

    @property
    def zone_file(self) -> Path:
        return self.directory / f"{self.zone}.zone"

    @property
    def local_data(self) -> Path:
        return self.directory / "local-data.conf"

    @property
    def manifests(self) -> Path:
        return self.directory / "cluster.json"


@dataclass(frozen=True, slots=True)
class Setup:
    """How a server is started: files by their name in its directory, words of the command, environment."""

    files: dict[str, str]
    words: list[str]
    environ: dict[str, str] = field(default_factory=dict)


def _cache(task: Task) -> str:
    """The cache of fastdns and CoreDNS, larger than the default, which is less than the number of names."""
    room = 2 * task.names
    return f"    cache 3600 {{\n        success {room}\n        denial {room}\n    }}\n"


def _forward(task: Task) -> str:
    cache = _cache(task) if task.role == CACHED else ""
    return f".:{task.port} {{\n    bind 127.0.0.1\n    errors\n    forward . 127.0.0.1:{task.upstream}\n{cache}}}\n"


def _fastdns(*more: str) -> Callable[[Task, Path], Setup | None]:
    def setup(task: Task, home: Path) -> Setup | None:
        if task.role != AUTHORITY:
            text = _forward(task)
        else:
            lines = [line.format(port=free_port()) for line in more]
            text = f"{task.zone}:{task.port} {{\n    errors\n    kubernetes {task.zone} {{\n"
            text += f'        manifests "{task.manifests}"\n    }}\n'
            text += "".join(f"    {line}\n" for line in lines) + "}\n"
        words = [*shlex.split(task.program), "-conf", str(home / "Corefile")]
        return Setup({"Corefile": text}, words, {"FASTDNS_WORKERS": str(task.workers)})

    return setup


def filled(line: str, home: Path) -> str:
    """A line of LINES for this server."""
    return line.replace("{home}", str(home)).replace("{port}", str(free_port()) if "{port}" in line else "")


def with_plugins(*names: str) -> Callable[[Task, Path], Setup | None]:
    """An authority with one use of each of these plugins in its block; autopath needs the pods as well."""

    def setup(task: Task, home: Path) -> Setup | None:
        if task.role != AUTHORITY:
            return None
        lines = ["bind 127.0.0.1", f"kubernetes {task.zone} {{", f'    manifests "{task.manifests}"']
        lines += ["    pods verified"] * ("autopath" in names) + ["}"]
        lines += [filled(line, home) for name in names for line in LINES[name]]
        text = "".join(f"    {line}\n" for line in lines)
        files = {"Corefile": f"{task.zone}:{task.port} {{\n{text}}}\n", **FILES}
        words = [*shlex.split(task.program), "-conf", str(home / "Corefile")]
        return Setup(files, words, {"FASTDNS_WORKERS": str(task.workers)})

    return setup


def with_lines(task: Task, home: Path) -> Setup | None:
    """An authority that writes a line for each query: into a file, as its standard output is one here."""
    setup = with_plugins()(task, home)
    if setup is None:
        return None
    text = setup.files["Corefile"].replace("    bind", "    log\n    bind")
    return replace(setup, files={"Corefile": text}, environ={**setup.environ, "FASTDNS_LOG_LINES_S": "10000000"})


def coredns(task: Task, home: Path) -> Setup | None:
    """An authority from a zone file, with a cache, as its manual recommends for speed."""
    text = _forward(task)
    if task.role == AUTHORITY:
        text = (
            f"{task.zone}:{task.port} {{\n    bind 127.0.0.1\n    errors\n    file {task.zone_file} {task.zone}\n"
            f"{_cache(task)}    loadbalance\n}}\n"
        )
    return Setup(
        {"Corefile": text}, [task.program, "-conf", str(home / "Corefile")], {"GOMAXPROCS": str(task.workers)}
    )


def knot(task: Task, home: Path) -> Setup | None:
    """Knot DNS: an authority only."""
    if task.role != AUTHORITY:
        return None
    text = f"""\
server:
    rundir: "{home}"
    listen: 127.0.0.1@{task.port}
    udp-workers: {task.workers}
    tcp-workers: {task.workers}
    background-workers: 1
    tcp-max-clients: {TCP_CLIENTS}
database:
    storage: "{home}"
zone:
  - domain: {task.zone}
    file: "{task.zone_file}"
    zonefile-sync: -1
    journal-content: none
"""
    return Setup({"knot.conf": text}, [task.program, "-c", str(home / "knot.conf")])


def nsd(task: Task, home: Path) -> Setup | None:
    """NSD: an authority only. Its rate limit (200 queries a second of a client) is off."""
    if task.role != AUTHORITY:
        return None
    text = f"""\
server:
    ip-address: 127.0.0.1@{task.port}
    server-count: {task.workers}
    reuseport: {"yes" if task.workers > 1 else "no"}
    tcp-count: {TCP_CLIENTS}
    username: ""
    chroot: ""
    database: ""
    pidfile: "{home}/nsd.pid"
    zonelistfile: "{home}/zone.list"
    xfrdfile: "{home}/xfrd.state"
    xfrdir: "{home}"
    zonesdir: "{home}"
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: {task.zone}
    zonefile: "{task.zone_file}"
"""
    return Setup({"nsd.conf": text}, [task.program, "-d", "-c", str(home / "nsd.conf")])


def unbound(task: Task, home: Path) -> Setup | None:
    """Unbound: local-data as an authority; a forwarder without validation."""
    more = {
        AUTHORITY: f'    local-zone: "{task.zone}." static\n    include: "{task.local_data}"\n',
        MISS: "    cache-max-ttl: 0\n",
        CACHED: "    msg-cache-size: 64m\n    rrset-cache-size: 64m\n",
    }[task.role]
    text = f"""\
server:
    interface: 127.0.0.1
    port: {task.port}
    num-threads: {task.workers}
    so-reuseport: yes
    do-daemonize: no
    do-ip6: no
    username: ""
    chroot: ""
    directory: "{home}"
    pidfile: ""
    use-syslog: no
    access-control: 127.0.0.0/8 allow
    module-config: "iterator"
    incoming-num-tcp: {TCP_CLIENTS}
    do-not-query-localhost: no
{more}remote-control:
    control-enable: no
"""
    if task.role != AUTHORITY:
        text += f'forward-zone:\n    name: "."\n    forward-addr: 127.0.0.1@{task.upstream}\n'
    return Setup({"unbound.conf": text}, [task.program, "-d", "-c", str(home / "unbound.conf")])


def bind(task: Task, home: Path) -> Setup | None:
    """BIND 9: an authority; a forwarder without validation."""
    if task.role == AUTHORITY:
        does = "recursion no;"
        zone = f'zone "{task.zone}" {{ type primary; file "{task.zone_file}"; notify no; }};\n'
    else:
        does = f"recursion yes; forward only; forwarders {{ 127.0.0.1 port {task.upstream}; }};"
        does += " recursive-clients 10000;" + (" max-cache-ttl 0;" if task.role == MISS else "")
        zone = ""
    text = f"""\
options {{
    directory "{home}";
    listen-on port {task.port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    allow-query {{ 127.0.0.0/8; }};
    pid-file none;
    session-keyfile "{home}/session.key";
    dnssec-validation no;
    empty-zones-enable no;
    minimal-responses yes;
    tcp-clients {TCP_CLIENTS};
    {does}
}};
controls {{ }};
{zone}"""
    return Setup(
        {"named.conf": text}, [task.program, "-g", "-n", str(task.workers), "-c", str(home / "named.conf")]
    )


def _dnsdist(*more: str) -> Callable[[Task, Path], Setup | None]:
    def setup(task: Task, home: Path) -> Setup | None:
        if task.role == AUTHORITY:
            return None
        shared = ", {reusePort=true}" if task.workers > 1 else ""
        lines = [
            f'setLocal("127.0.0.1:{task.port}"{shared})',
            *[f'addLocal("127.0.0.1:{task.port}"{shared})'] * (task.workers - 1),
            'setACL("127.0.0.0/8")',
            'setSecurityPollSuffix("")',
            f'newServer({{address="127.0.0.1:{task.upstream}"}}):setUp()',
            *([f'getPool(""):setCache(newPacketCache({2 * task.names}))'] if task.role == CACHED else []),
            *more,
        ]
        words = [task.program, "--supervised", "--disable-syslog", "-C", str(home / "dnsdist.conf")]
        return Setup({"dnsdist.conf": "\n".join(lines) + "\n"}, words)

    return setup


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can take part. program: its name on PATH; none for fastdns, which --command starts."""

    name: str
    program: str
    setup: Callable[[Task, Path], Setup | None]
    usual: bool = True


SERVERS = {
    server.name: server
    for server in [
        Server("fastdns", "", _fastdns("bind 127.0.0.1", "loadbalance")),
        # All plugins of a cluster's Corefile. Names of the cluster need no upstream, so there is none.
        Server(
            "fastdns+everything",
            "",
            _fastdns(
                "bind 127.0.0.1",
                "loadbalance",
                "prometheus 127.0.0.1:{port}",
                "cache 30",
                "forward . 127.0.0.1:{port}",
            ),
            False,
        ),
        # What the plugins of a block cost: each with kubernetes alone, and all of them together.
        Server("fastdns+none", "", with_plugins(), False),
        *(Server(f"fastdns+{name}", "", with_plugins(name), False) for name in LINES),
        Server("fastdns+all", "", with_plugins(*LINES), False),
        Server("fastdns+lines", "", with_lines, False),
        # A listener on every address, as in a pod, reads and sends IP_PKTINFO.
        Server("fastdns+wildcard", "", _fastdns("loadbalance"), False),
        Server("knot", "knotd", knot),
        Server("nsd", "nsd", nsd),
        Server("unbound", "unbound", unbound),
        Server("bind", "named", bind),
        Server("dnsdist", "dnsdist", _dnsdist()),
        # It receives and sends in batches only if configured to.
        Server("dnsdist+batches", "dnsdist", _dnsdist("setUDPMultipleMessagesVectorSize(64)")),
        Server("coredns", "coredns", coredns),
    ]
}
UPSTREAM_ZONE = OUTSIDE
