"""The command line: CoreDNS's flags, spelled as it spells them, and ``check`` and ``demo``.

Exit codes: 0 after an orderly end, 1 if the server cannot start, 2 for a wrong command line or after SIGINT, 3 of
``check -strict`` where a line is different.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fastdns import __version__, check, migration
from fastdns.check import name_warnings
from fastdns.corefile import ServerConfig, default_config, load, load_file
from fastdns.corefile.config import read_corefile
from fastdns.errors import FastdnsError
from fastdns.inherited import check_process, open_standard_streams, take_signals
from fastdns.plugins import order
from fastdns.terminal import wants_colour, width_of

USAGE = """\
Usage: fastdns [flags]                serve
       fastdns check [-conf FILE]     name each mistake of a Corefile, or print what would be served
       fastdns demo [-dns.port PORT] [-manifests PATH]
                                      serve an example cluster on 127.0.0.1
       fastdns bench [options]        load a DNS server and measure it; -h lists the options
       fastdns help [COMMAND]         print this, or the usage of a command
       fastdns version                print the version and what it runs on

Flags, with one or two dashes:
  -conf FILE        Corefile to load; "stdin" reads standard input (default "Corefile")
  -dns.port, -p N   port of server blocks that name none (default 53)
  -pidfile FILE     write the process id there
  -plugins          list the plugins and exit
  -quiet            print no start-up lines
  -version          print the version and exit

Environment:
  FASTDNS_WORKERS              worker processes (default: CPUs by affinity, cgroup quota and memory)
  FASTDNS_STORE_MIB            MiB of the zone store, at most (default 512)
  FASTDNS_MAX_TCP_CONNECTIONS  TCP connections of a worker, at most (default 4096)
  FASTDNS_MAX_TCP_MIB          MiB that TCP connections of all workers hold, at most (default 32)
  FASTDNS_MAX_HTTP_CONNECTIONS connections of each HTTP endpoint, at most (default 256)
  FASTDNS_METRICS_MAX_AGE_MS   age of /metrics in ms, at most (default 1000)
  FASTDNS_MAX_IN_FLIGHT        outstanding queries of all workers to upstreams, at most (default 16384)
  FASTDNS_MAX_PYTHON_QUERIES   queries of all workers that steps in Python work on, at most (default 4096)
  FASTDNS_LOG_LINES_S          lines of log a second of each serving thread, at most (default 100000)
"""

CHECK_USAGE = """\
Usage: fastdns check [-conf FILE] [-dns.port PORT] [-differences] [-strict] [-json] [-schema]

Reads a Corefile and the files that its plugins read. Names each mistake with its file and line and exits with 1, or
prints what would be served and exits with 0. Serves nothing and connects to nothing.
Then it says what becomes of each line of a Corefile that CoreDNS has served:
  same         as with CoreDNS
  better       nothing to do: what CoreDNS did right has not changed
  different    read the reason: somebody may rely on CoreDNS's way
  unsupported  fastdns does not have it (exit code 1)
  error        it has to be corrected (exit code 1)

Flags, with one or two dashes:
  -conf FILE        Corefile to check; "stdin" reads standard input (default "Corefile")
  -dns.port, -p N   port of server blocks that name none (default 53)
  -differences      print, too, what each plugin of the Corefile does otherwise than CoreDNS's
  -strict           exit with 3 where a line is different, and none is unsupported or an error
  -json             print one JSON object in place of text
  -schema           print the JSON schema of that object
"""
DEMO_USAGE = """\
Usage: fastdns demo [-dns.port PORT] [-manifests PATH]

Serves an example cluster on 127.0.0.1, UDP and TCP, with /health on port 8080, /ready on 8181 and /metrics on 9153.
The manifests are watched: a change in them shows in answers at once.

Flags, with one or two dashes:
  -dns.port, -p N   port (default 1053)
  -manifests PATH   a file or folder of YAML or JSON (default: the example that comes with fastdns)
"""
DEFAULT_FILE = "Corefile"
DEMO_PORT = 1053
DEMO_HTTP_PORTS = (8080, 8181, 9153)

DEMO_COREFILE = """\
cluster.local:{port} in-addr.arpa:{port} ip6.arpa:{port} {{
    bind 127.0.0.1
    errors
    health 127.0.0.1:8080
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        manifests "{manifests}"
        pods insecure
    }}
    prometheus 127.0.0.1:9153
    loadbalance
}}
"""


class UsageError(FastdnsError):
    """The command line is wrong; the message says what is wrong."""


@dataclass(slots=True)
class Flags:
    """The parsed command line."""

    values: dict[str, str] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        """A flag's value."""
        return self.values.get(name, default)

    def on(self, name: str) -> bool:
        """Whether a boolean flag is set."""
        return self.values.get(name, "false") == "true"

    def port(self, default: int) -> int:
        """The default port. Raises FastdnsError and not UsageError, as CoreDNS exits with 1 here."""
        text = self.get("dns.port", str(default))
        if not text.isdecimal() or int(text) > 65535:
            raise FastdnsError(f'invalid value "{text}" for flag -dns.port: a port of 0 to 65535 expected')
        return int(text)


BOOLEANS = {"quiet", "version", "plugins", "json", "differences", "strict", "schema", "help", "h"}
SERVE_FLAGS = {"conf", "dns.port", "p", "pidfile", "plugins", "quiet", "version", "help", "h"}
CHECK_FLAGS = {"conf", "dns.port", "p", "differences", "strict", "json", "schema", "help", "h"}
DIFFERENT = 3
TRUTHS = {"1": "true", "t": "true", "true": "true", "0": "false", "f": "false", "false": "false"}


def parse_flags(arguments: list[str], known: set[str]) -> Flags:
    """Read flags as Go's flag package does: ``-a b``, ``-a=b``, ``--a``. The first other word ends them."""
    flags = Flags()
    left = list(arguments)
    while left:
        word = left[0]
        if not word.startswith("-") or word == "-":
            break
        left.pop(0)
        if word == "--":
            break
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        if name not in known:
            raise UsageError(f"flag provided but not defined: -{name}")
        if name in BOOLEANS:
            value = TRUTHS.get((value if equals else "true").lower(), "")
            if not value:
                raise UsageError(f"invalid boolean value for flag -{name}")
        elif not equals:
            if not left:
                raise UsageError(f"flag needs an argument: -{name}")
            value = left.pop(0)
        flags.values["dns.port" if name == "p" else name] = value
    flags.rest = left
    return flags


def version_lines() -> list[str]:
    """The version, and what it runs on."""
    machine = os.uname().machine
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    python = ".".join(map(str, sys.version_info[:3]))
    return [f"fastdns-{__version__}", f"linux/{machine}, python{python}, {os.environ.get('FASTDNS_REVISION', '')}"]


def zone_lines(config: ServerConfig) -> list[str]:
    """``ZONE:PORT`` of each zone, sorted within a listener, with warnings about unusual names."""
    lines = []
    for listener in config.listeners:
        where = f" on {listener.address}" if listener.address else ""
        for zone in sorted({zone for zone, _ in listener.zones}):
            lines += [*name_warnings(zone), f"{zone}:{listener.port}{where}"]
    return lines


def announcer(quiet: bool) -> Callable[[ServerConfig], None]:
    """A function that prints the start-up lines."""

    def announce(config: ServerConfig) -> None:
        if not quiet:
            try:
                print("\n".join([*zone_lines(config), *version_lines()]), flush=True)
            except OSError:
                # A full disk or a closed pipe must not stop the server. Without this, Python writes again at exit,
                # fails again, and changes the exit code.
                sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115

    return announce


def loader(flags: Flags) -> Callable[[], ServerConfig]:
    """A function that reads the Corefile of the flags at each call. Standard input is read once."""
    port = flags.port(53)
    name = flags.get("conf")
    if name == "stdin":
        text = "" if sys.stdin.isatty() else sys.stdin.read()
        return lambda: load(text, "stdin", default_port=port) if text.strip() else default_config(port)
    if name:
        return lambda: load_file(name, default_port=port)

    def read_default() -> ServerConfig:
        if not Path(DEFAULT_FILE).exists():
            return default_config(port)
        return load_file(DEFAULT_FILE, default_port=port)

    return read_default


def fatal(message: object) -> int:
    """Print on standard error why the server does not start; returns the exit code."""
    print(f"fastdns: {message}", file=sys.stderr, flush=True)
    return 1


def serve(flags: Flags, load_config: Callable[[], ServerConfig], announce: Callable[[ServerConfig], None]) -> int:
    """Run the server; returns the exit code."""
    from fastdns import log
    from fastdns.process.server import Settings
    from fastdns.process.supervisor import run

    log.set_up()
    take_signals()
    try:
        check_process()
        config = load_config()
        return run(Settings(load_config, announce, dict(os.environ), flags.get("pidfile") or None), config)
    except FastdnsError as error:
        return fatal(error)


def main_serve(arguments: list[str]) -> int:
    """``fastdns [flags]``."""
    flags = parse_flags(arguments, SERVE_FLAGS)
    if flags.on("help") or flags.on("h"):
        print(USAGE, end="")
        return 0
    if flags.rest:
        return fatal(f"extra command line arguments: [{' '.join(flags.rest)}]")
    if flags.on("version"):
        print("\n".join(version_lines()))
        return 0
    if flags.on("plugins"):
        print("\n".join(sorted(order.available())))
        return 0
    return serve(flags, loader(flags), announcer(flags.on("quiet")))


def main_check(arguments: list[str]) -> int:
    """``fastdns check``: prints each mistake, and returns 1, if the Corefile cannot be served.

    The files that plugins read are checked, too. The connection to a cluster is not: its account and credentials
    belong to the host that serves.
    """
    flags = parse_flags(arguments, CHECK_FLAGS)
    if flags.on("help") or flags.on("h"):
        print(CHECK_USAGE, end="")
        return 0
    if flags.rest:
        return fatal(f"extra command line arguments: [{' '.join(flags.rest)}]; name the Corefile with -conf")
    if flags.on("schema"):
        print(check.schema())
        return 0
    report = check.check_text(*what_to_check(flags), flags.port(53))
    if flags.on("json"):
        print(check.as_json(report))
    else:
        served = check.served_lines(report)
        if flags.on("differences"):
            served += check.difference_lines(report)
        if report.lines:
            colour, width = wants_colour(sys.stdout), width_of(sys.stdout)
            served += ["", *migration.shown(report.lines, colour=colour, width=width)]
        for lines, output in ((check.problem_lines(report), sys.stderr), (served, sys.stdout)):
            print("".join(f"{line}\n" for line in lines), end="", file=output, flush=True)
    if not report.right:
        return 1
    return DIFFERENT if flags.on("strict") and migration.counts(report.lines)["different"] else 0


def what_to_check(flags: Flags) -> tuple[Callable[[], str], str]:
    """A function that reads the Corefile, and its name. A missing one is a mistake; the server has a default."""
    name = flags.get("conf") or DEFAULT_FILE

    def read() -> str:
        if name == "stdin":
            text = "" if sys.stdin.isatty() else sys.stdin.read()
            if not text.strip():
                raise FastdnsError("stdin: no Corefile in it")
            return text
        if not Path(name).exists():
            hint = "" if flags.get("conf") else "; name the Corefile with -conf"
            raise FastdnsError(f"{name}: no such file{hint}")
        return read_corefile(name)

    return read, name


def demo_manifests() -> Path:
    """The example cluster: the checkout's file in a checkout, else the file of the package."""
    from importlib import resources

    local = Path("deploy/example/cluster.yaml")
    return local if local.exists() else Path(str(resources.files("fastdns") / "example.yaml"))


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


def main_demo(arguments: list[str]) -> int:
    """``fastdns demo``: an example cluster on the loopback, with health, ready and metrics."""
    flags = parse_flags(arguments, {"dns.port", "p", "manifests", "help", "h"})
    if flags.on("help") or flags.on("h"):
        print(DEMO_USAGE, end="")
        return 0
    if flags.rest:
        return fatal(f"extra command line arguments: [{' '.join(flags.rest)}]")
    port = flags.port(DEMO_PORT)
    manifests = Path(flags.get("manifests") or demo_manifests())
    if not manifests.exists():
        return fatal(f"{manifests}: no such file or folder")
    text = DEMO_COREFILE.format(port=port, manifests=manifests.resolve())
    stream, both = (socket.SOCK_STREAM,), (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    for taken, kinds in ((port, both), *((http_port, stream) for http_port in DEMO_HTTP_PORTS)):
        if any(is_taken(taken, kind) for kind in kinds):
            hint = " or give -dns.port another port" if taken == port else ""
            return fatal(f"127.0.0.1:{taken} is taken, perhaps by another demo; end that program{hint}")

    def announce(config: ServerConfig) -> None:
        at = f"@127.0.0.1 -p {port}"
        print(
            "\n".join(
                [
                    *zone_lines(config),
                    *version_lines(),
                    "",
                    f"The cluster in {manifests} is served on 127.0.0.1:{port}, UDP and TCP. Try:",
                    f"  dig {at} kubernetes.default.svc.cluster.local",
                    f"  dig {at} +tcp web.shop.svc.cluster.local AAAA",
                    f"  dig {at} _http._tcp.web.shop.svc.cluster.local SRV",
                    f"  dig {at} db.shop.svc.cluster.local",
                    f"  dig {at} -x 10.96.0.1",
                    f"Edit {manifests} and ask again: the answer changes at once.",
                    "Probes: http://127.0.0.1:8080/health http://127.0.0.1:8181/ready",
                    "Metrics: http://127.0.0.1:9153/metrics    End with Ctrl-C.",
                ]
            ),
            flush=True,
        )

    return serve(flags, lambda: load(text, "demo", default_port=port), announce)


def main_bench(arguments: list[str]) -> int:
    """``fastdns bench``: loads and measures a DNS server. A server imports nothing of it."""
    from fastdns.bench.cli import main

    return main(arguments)


def main_help(arguments: list[str]) -> int:
    """``fastdns help``: the usage of everything, or of one command."""
    if not arguments:
        print(USAGE, end="")
        return 0
    if arguments[0] == "bench":
        return main_bench(["-h"])
    if arguments[0] not in USAGES:
        return fatal(f"no command {arguments[0]!r}: one of bench, {', '.join(USAGES)} expected")
    print(USAGES[arguments[0]], end="")
    return 0


def main_version(arguments: list[str]) -> int:
    """``fastdns version``: the same as -version."""
    return main_serve(["-version", *arguments])


USAGES = {"check": CHECK_USAGE, "demo": DEMO_USAGE}
COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "bench": main_bench, "check": main_check, "demo": main_demo, "help": main_help, "version": main_version,
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """The entry point; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    open_standard_streams()
    command = words[0] if words and words[0] in COMMANDS else ""
    try:
        return COMMANDS[command](words[1:]) if command else main_serve(words)
    except UsageError as error:
        print(f"{error}\n{USAGES.get(command, USAGE)}", file=sys.stderr, end="", flush=True)
        return 2
    except FastdnsError as error:
        return fatal(error)


if __name__ == "__main__":
    sys.exit(main())
