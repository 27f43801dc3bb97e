"""How each server answers one name over each transport: its files and its command. Nothing is started here.

Each has one worker, or one thread, and room for *connections* connections, which it keeps for a minute.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.configs import Setup

NAME = "a.example.org"
ADDRESS = "192.0.2.1"
IDLE_S = 60
OVER_TCP = ("tcp", "dot", "doh")
# dnsperf's names, and the schemes of keys of a Corefile.
SCHEMES = {"tcp": "dns", "dot": "tls", "doh": "https", "doq": "quic"}
BLOCK = """\
{key} {{
    bind 127.0.0.1
    {tls}
    timeouts {{
        idle {idle}s
    }}
{more}    template IN A example.org {{
        answer "{{{{ .Name }}}} 60 IN A {address}"
    }}
}}
"""
# Without this, 200 connections over HTTPS.
UNBOUNDED = {"doh": "    https {\n        max_connections 0\n    }\n"}


@dataclass(frozen=True, slots=True)
class Job:
    """The job of a server.

    program: its path, or the words by which fastdns is called. home: its directory. folder: of cert.pem and
    key.pem. ports: by transport. TCP's is UDP's as well.
    """

    program: str
    home: Path
    folder: Path
    ports: dict[str, int]
    connections: int

    @property
    def certificate(self) -> Path:
        return self.folder / "cert.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"


def corefile(job: Job, more: dict[str, str]) -> str:
    """A block for each transport. more: the lines of one."""
    return "".join(
        BLOCK.format(
            key=f"{SCHEMES[transport]}://example.org:{port}",
            tls="" if transport == "tcp" else f"tls {job.certificate} {job.key}",
            idle=IDLE_S,
            more=more.get(transport, ""),
            address=ADDRESS,
        )
        for transport, port in job.ports.items()
    )


def fastdns(job: Job) -> Setup:
    """*template*. An idle connection counts as 64 KiB at most."""
    environ = {
        "FASTDNS_WORKERS": "1",
        "FASTDNS_MAX_TCP_CONNECTIONS": str(job.connections),
        "FASTDNS_MAX_TCP_MIB": str(max(32, job.connections // 16)),
    }
    text = corefile(job, UNBOUNDED)
    return Setup({"Corefile": text}, [*shlex.split(job.program), "-conf", str(job.home / "Corefile")], environ)


def coredns(job: Job) -> Setup:
    """*template*. Its bound of 200 connections over QUIC cannot be changed."""
    text = corefile(job, UNBOUNDED)
    return Setup({"Corefile": text}, [job.program, "-conf", str(job.home / "Corefile")], {"GOMAXPROCS": "1"})


def dnsdist(job: Job) -> Setup:
    """SpoofAction: no server behind it is asked."""
    pair = f'"{job.certificate}", "{job.key}"'
    lines = [
        f'setLocal("127.0.0.1:{job.ports["tcp"]}")',
        f'addTLSLocal("127.0.0.1:{job.ports["dot"]}", {pair})',
        f'addDOHLocal("127.0.0.1:{job.ports["doh"]}", {pair}, "/dns-query", {{idleTimeout={IDLE_S}}})',
        'setACL("127.0.0.0/8")',
        'setSecurityPollSuffix("")',
        "setMaxTCPClientThreads(1)",
        f"setTCPRecvTimeout({IDLE_S})",
        f'addAction(QNameRule("{NAME}"), SpoofAction("{ADDRESS}"))',
    ]
    words = [job.program, "--supervised", "--disable-syslog", "-C", str(job.home / "dnsdist.conf")]
    return Setup({"dnsdist.conf": "\n".join(lines) + "\n"}, words)


def unbound(job: Job) -> Setup:
    """local-data."""
    interfaces = "".join(f"    interface: 127.0.0.1@{port}\n" for port in job.ports.values())
    text = f"""\
server:
{interfaces}    port: {job.ports["tcp"]}
    tls-port: {job.ports["dot"]}
    https-port: {job.ports["doh"]}
    tls-service-pem: "{job.certificate}"
    tls-service-key: "{job.key}"
    num-threads: 1
    do-daemonize: no
    do-ip6: no
    username: ""
    chroot: ""
    directory: "{job.home}"
    pidfile: ""
    use-syslog: no
    access-control: 127.0.0.0/8 allow
    module-config: "iterator"
    incoming-num-tcp: {2 * job.connections}
    tcp-idle-timeout: {1000 * IDLE_S}
    local-zone: "example.org." static
    local-data: "{NAME}. 60 IN A {ADDRESS}"
remote-control:
    control-enable: no
"""
    return Setup({"unbound.conf": text}, [job.program, "-d", "-c", str(job.home / "unbound.conf")])


def bind(job: Job) -> Setup:
    """A zone."""
    zone = f"$TTL 60\n@ SOA ns.example.org. h.example.org. 1 2 3 4 5\n@ NS ns\nns A 192.0.2.2\na A {ADDRESS}\n"
    text = f"""\
tls local {{ cert-file "{job.certificate}"; key-file "{job.key}"; }};
http local {{ endpoints {{ "/dns-query"; }}; }};
options {{
    directory "{job.home}";
    listen-on port {job.ports["tcp"]} {{ 127.0.0.1; }};
    listen-on port {job.ports["dot"]} tls local {{ 127.0.0.1; }};
    listen-on port {job.ports["doh"]} tls local http local {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    allow-query {{ 127.0.0.0/8; }};
    pid-file none;
    session-keyfile "{job.home}/session.key";
    dnssec-validation no;
    empty-zones-enable no;
    minimal-responses yes;
    tcp-clients {job.connections};
    tcp-listen-queue 4096;
    tcp-idle-timeout {10 * IDLE_S};
    http-listener-clients {job.connections};
    recursion no;
}};
controls {{ }};
zone "example.org" {{ type primary; file "{job.home}/example.org.zone"; notify no; }};
"""
    words = [job.program, "-g", "-n", "1", "-c", str(job.home / "named.conf")]
    return Setup({"named.conf": text, "example.org.zone": zone}, words)


def knot_resolver(job: Job) -> Setup:
    """A static hint."""
    kinds = {"tcp": "dns", "dot": "tls", "doh": "doh2"}
    listen = "".join(f"net.listen('127.0.0.1', {job.ports[one]}, {{ kind = '{kinds[one]}' }})\n" for one in kinds)
    text = f"""\
{listen}net.tls("{job.certificate}", "{job.key}")
trust_anchors.remove('.')
modules = {{ 'hints > iterate' }}
hints.set('{NAME} {ADDRESS}')
cache.size = 10 * MB
"""
    words = [job.program, "-n", "-c", str(job.home / "kresd.conf"), str(job.home)]
    return Setup({"kresd.conf": text}, words)


@dataclass(frozen=True, slots=True)
class Listener:
    """A server that can take part. program: its name on PATH; none for fastdns."""

    program: str
    transports: tuple[str, ...]
    setup: Callable[[Job], Setup]


LISTENERS = {
    "fastdns": Listener("", tuple(one for one in SCHEMES if one in OVER_TCP or find_spec("qh3")), fastdns),
    "coredns": Listener("coredns", tuple(SCHEMES), coredns),
    "dnsdist": Listener("dnsdist", OVER_TCP, dnsdist),
    "unbound": Listener("unbound", OVER_TCP, unbound),
    "knot-resolver": Listener("kresd", OVER_TCP, knot_resolver),
    "bind": Listener("named", OVER_TCP, bind),
}
