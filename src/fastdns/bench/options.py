"""The command line of ``fastdns bench``: dnsperf's letters where dnsperf has the option, with the same meaning."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fastdns.bench.address import Server
from fastdns.bench.errors import BenchUsageError
from fastdns.bench.transport import CONNECTED, ENCRYPTED, METHODS, OVER_HTTP, PORTS, HttpOptions, parse_uri
from fastdns.bench.tsig import TsigKey, parse_key

DESCRIPTION = """\
Loads a DNS server and measures it: queries a second, latencies, rcodes, losses.

The letters are dnsperf's, with the same meaning, and its query files are read. Transports are UDP, TCP, TLS (dot),
HTTPS on HTTP/2 (doh) and HTTP/3 (doh3), and QUIC (doq). Without -Q at most -q queries are outstanding, and the
next one is sent when one is answered (closed loop). With -Q queries are due at a fixed rate, whatever the server
does, and the latency of an answer counts from when its query was due (open loop).
"""
EPILOG = """\
Exit codes: 0 after a run, whatever its figures; 1 if it cannot run, if an answer differs from what --check expects,
or if no answer came at all; 2 for a wrong command line. Ctrl-C ends the run and prints the report so far.

Examples:
  fastdns bench -s 127.0.0.1 -p 1053 -d names.txt -l 10              as much as it can answer, for 10 s
  fastdns bench -s 10.96.0.10 -d names.txt -l 60 -Q 5000             5,000 a second, open loop
  fastdns bench -s 10.96.0.10 --corefile Corefile --pod shop -l 10   what pods of namespace shop ask
  fastdns bench -s ::1 -p 1053 -m tcp -c 50 --template 'r{random}.example.org A' --names 50000
  fastdns bench -s 127.0.0.1 -m dot -c 100 -d names.txt -l 10 --resume
  fastdns bench -s 127.0.0.1 -m doh -O doh-method=POST -d names.txt -l 10
  fastdns bench -d names.txt -l 2 --versus new=127.0.0.1:1053 --versus old=127.0.0.1:2053 --pid new=71 --pid old=85
  fastdns bench --check expected.txt -s 127.0.0.1 -p 1053            right answers, or exit code 1

`fastdns bench cluster -h`: start, memory and changes of a cluster. More: docs/reference/bench.md.
"""

FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}
MAX_CLIENTS = 16384
MAX_PROCESSES = 256
MAX_RATE = 100_000_000
MAX_PER_CONNECTION = 2**31
MAX_PORT = 65535
VERSUS_SECONDS = 2.0
VERSUS_ROUNDS = 7
# The messages that dnsperf's -O suppress=LIST silences.
SUPPRESSIBLE = ("timeouts", "congestion", "sendfailed", "sockready", "unexpected")


class Parser(argparse.ArgumentParser):
    """Raises BenchUsageError instead of ending the process."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise BenchUsageError(message)


def _number(text: str, least: float, most: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{what} of {least:g} to {most:g} expected, got {text!r}")
    return value


def _count(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a whole number of {least} to {most} expected, got {text!r}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    return _number(text, 0.001, 1e7, "seconds")


def _rate(text: str) -> float:
    return _number(text, 0.001, MAX_RATE, "queries a second")


def host_and_port(text: str, default: int = 53) -> Server:
    """A server from HOST, HOST:PORT, [ADDRESS]:PORT or a bare IPv6 address. Raises ValueError."""
    host, port = text, ""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f"HOST:PORT or [ADDRESS]:PORT expected, got {text!r}")
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host or (port and not (port.isdecimal() and 0 < int(port) < 65536)) or text.endswith(":"):
        raise ValueError(f"HOST:PORT or [ADDRESS]:PORT expected, with a port of 1 to 65535, got {text!r}")
    return Server(host, int(port) if port else default)


def _named_server(text: str) -> tuple[str, Server]:
    name, equals, where = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"NAME=HOST:PORT expected, got {text!r}")
    try:
        return name, host_and_port(where, 0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _named_pid(text: str) -> tuple[str, int]:
    name, _, pid = text.rpartition("=")
    if not pid.isdecimal() or int(pid) < 1:
        raise argparse.ArgumentTypeError(f"PID or NAME=PID expected, got {text!r}")
    return name, int(pid)


def _edns_option(text: str) -> tuple[int, bytes]:
    code, colon, value = text.partition(":")
    try:
        if not colon or not code.isdecimal() or int(code) > 65535:
            raise ValueError
        return int(code), bytes.fromhex(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"CODE:HEX expected, got {text!r}") from None


def _cpus(text: str) -> tuple[int, ...]:
    cpus: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise argparse.ArgumentTypeError(f"CPUs as 0,2-3 expected, got {text!r}")
        cpus += range(int(first), int(last if dash else first) + 1)
    return tuple(cpus)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _tsig(text: str) -> TsigKey:
    try:
        return parse_key(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _uri(text: str) -> HttpOptions:
    try:
        return parse_uri(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _method(text: str) -> str:
    if text not in METHODS:
        raise argparse.ArgumentTypeError(f"{' or '.join(METHODS)} expected, got {text!r}")
    return text


def _suppressed(text: str) -> tuple[str, ...]:
    words = _words(text)
    for word in words:
        if word not in SUPPRESSIBLE:
            raise argparse.ArgumentTypeError(f"one of {', '.join(SUPPRESSIBLE)} expected, got {word!r}")
    return words


class LongOption(NamedTuple):
    """An option of dnsperf's -O NAME=VALUE: the option that it is here, how its value is read, and its help."""

    attribute: str
    read: Callable[[str], Any]
    help: str


LONG_OPTIONS = {
    "doh-uri": LongOption("doh_uri", _uri, "--doh-uri"),
    "doh-method": LongOption("doh_method", _method, "--doh-method"),
    "num-queries-per-conn": LongOption(
        "queries_per_connection", _count(1, MAX_PER_CONNECTION), "--queries-per-connection"
    ),
    "suppress": LongOption("suppress", _suppressed, "accepted: such messages are never printed here"),
}


class _Long(argparse.Action):
    """-O NAME=VALUE: sets the option of that name."""

    def __call__(
        self, parser: object, namespace: argparse.Namespace, values: object, option: str | None = None
    ) -> None:
        name, equals, value = str(values).partition("=")
        long = LONG_OPTIONS.get(name)
        if long is None or not equals:
            known = ", ".join(f"{one}=VALUE" for one in LONG_OPTIONS)
            raise argparse.ArgumentError(self, f"one of {known} expected, got {values!r}")
        try:
            setattr(namespace, long.attribute, long.read(value))
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, f"{name}: {error}") from None


class _LongHelp(argparse.Action):
    """-H: prints the options of -O, and ends."""

    def __call__(
        self, parser: object, namespace: object, values: object, option: str | None = None
    ) -> None:
        print("Options of -O NAME=VALUE, as dnsperf has them:")
        for name, one in LONG_OPTIONS.items():
            print(f"  {name}: {one.help}")
        raise SystemExit(0)


def parser() -> argparse.ArgumentParser:
    """Every option."""
    made = Parser(
        prog="fastdns bench",
        usage="fastdns bench [-s SERVER] [-p PORT] [-d FILE] [-l SECONDS] [options]\n"
        "       fastdns bench --versus NAME=HOST:PORT --versus NAME=HOST:PORT ... [options]\n"
        "       fastdns bench cluster [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument_group("whom to ask").add_argument
    add("-s", "--server", metavar="SERVER", help="name or address (default 127.0.0.1)")
    add("-p", "--port", metavar="PORT", type=_count(1, MAX_PORT),
        help="port (default 53; dot and doq 853; doh and doh3 443)")  # fmt: skip
    add("-f", "--family", choices=FAMILIES, default="any", help="address family (default any)")
    add("-m", "--mode", default="udp", metavar="|".join(PORTS), help="transport (default udp)")
    add("-a", "--local-address", metavar="ADDRESS", help="ask from this local address")
    add("-x", "--local-port", metavar="PORT", type=_count(1, MAX_PORT),
        help="ask from this local port, with the next client from the next port (default: any)")  # fmt: skip

    add = made.add_argument_group("HTTPS and TLS").add_argument
    add("--doh-uri", metavar="URI", type=_uri, help="URI of requests (default: https://SERVER/dns-query)")
    add("--doh-method", choices=METHODS, help="method of requests (default GET)")
    add("--tls-ca", metavar="FILE", type=Path, help="the server's certificate has to be signed by one of these "
        "authorities, and to have its name (default: it is not verified)")  # fmt: skip
    add("--tls-name", metavar="NAME", help="name of the server (default: SERVER)")
    add("--tls-cert", metavar="FILE", type=Path, help="the client's certificate and its chain")
    add("--tls-key", metavar="FILE", type=Path, help="the key of the client's certificate")
    add("--resume", action="store_true", help="a client's next connection resumes the TLS session of its last")

    add = made.add_argument_group("what to ask: one of").add_argument
    add("-d", "--data", metavar="FILE", type=Path, help="query file: lines of NAME TYPE, or a capture "
        "(pcap, pcapng); default: standard input")  # fmt: skip
    add("-B", "--binary", action="store_true", help="the query file has whole messages as on a TCP stream")
    add("-u", "--updates", action="store_true", help="the query file has dynamic updates")
    add("--check", metavar="FILE", type=Path, help="lines of NAME TYPE RCODE [RDATA...]: compare answers "
        "with these; without another source, also ask for these")  # fmt: skip
    add("--corefile", metavar="FILE", type=Path, help="names of the clusters (manifests) that a Corefile serves")
    add("--template", metavar="'NAME TYPE'", help="names made from a template: {random} or {random:LENGTH} "
        "is a new label each time, {n} the number")  # fmt: skip

    add = made.add_argument_group("which queries, and in what form").add_argument
    add("--kinds", metavar="LIST", type=_words, help="names of --corefile: service,headless,srv,ptr (default: all)")
    add("--names", metavar="N", type=_count(1, 10_000_000), help="number of names of --template (default 10000)")
    add("--pod", metavar="NAMESPACE[/ZONE]", help="as pods of a namespace ask: with a search list and ndots:5")
    add("--search", metavar="LIST", type=_words, help="the search list, as in resolv.conf, comma-separated")
    add("--ndots", metavar="N", type=_count(0, 15),
        help="names with fewer dots go through the search list first (default 5)")  # fmt: skip
    add("--shuffle", action="store_true", help="ask in random order")
    add("--seed", metavar="N", type=_count(0, 2**63), default=1, help="seed of everything random (default 1)")
    add("-e", "--edns", action="store_true", help="with EDNS")
    add("-D", "--dnssec-ok", action="store_true", help="with EDNS and the DO bit")
    add("-E", "--edns-option", metavar="CODE:HEX", type=_edns_option, help="with EDNS and this option")
    add("-y", "--tsig", metavar="[ALGORITHM:]NAME:SECRET", type=_tsig,
        help="sign with this key, its secret in base64 (default algorithm: hmac-md5)")  # fmt: skip

    add = made.add_argument_group("how much").add_argument
    add("-l", "--limit", metavar="SECONDS", type=_seconds, help="duration (default: once through the queries)")
    add("-n", "--runs", metavar="N", type=_count(1, 2**40), help="times through the queries, at most")
    add("-q", "--outstanding", metavar="N", type=_count(1, 1 << 24),
        help="outstanding queries at most (default 100; with -Q what comes due within a timeout)")  # fmt: skip
    add("-Q", "--rate", metavar="QPS", type=_rate, help="queries a second (open loop)")
    add("-c", "--clients", metavar="N", type=_count(1, MAX_CLIENTS), default=16,
        help="sockets or connections to ask from (default 16)")  # fmt: skip
    add("-T", "--threads", metavar="N", type=_count(1, MAX_PROCESSES), default=1, help="processes (default 1)")
    add("-t", "--timeout", metavar="SECONDS", type=_seconds, default=5.0, help="a query is lost then (default 5)")
    add("-b", "--buffer", metavar="KIB", type=_count(1, 1 << 20), help="buffers of the sockets, each way")
    add("--queries-per-connection", metavar="N", type=_count(1, MAX_PER_CONNECTION),
        help="connect again after this many queries")  # fmt: skip
    add("--cpus", metavar="LIST", type=_cpus, help="CPUs of the generator, such as 1,3-4")
    add("--warm", metavar="SECONDS", type=_seconds, help="duration of a run before, which is not counted")

    add = made.add_argument_group("servers side by side").add_argument
    add("--versus", metavar="NAME=HOST:PORT", type=_named_server, action="append", default=[],
        help="a server of interleaved rounds; at least two. -l is the length of a turn (default 2 s)")  # fmt: skip
    add("--rounds", metavar="N", type=_count(1, 100_000), help="rounds of --versus (default 7)")
    add("--pid", metavar="[NAME=]PID", type=_named_pid, action="append", default=[],
        help="a server's process on this machine: adds CPU a query, and memory, of its process tree")  # fmt: skip

    add = made.add_argument_group("what to print").add_argument
    add("--json", action="store_true", help="print JSON")
    add("--html", metavar="FILE", type=Path, help="also write a page with plots")
    add("-S", "--interval", metavar="SECONDS", type=_seconds, help="print a line at this interval")
    add("-v", "--verbose", action="store_true", help="print a line for each query that has ended")
    add("-W", "--errors-to-stdout", action="store_true", help="errors and progress go to standard output")
    add("--no-progress", action="store_true", help="no live display on a terminal")

    add = made.add_argument_group("dnsperf's long options").add_argument
    add("-O", "--option", metavar="NAME=VALUE", action=_Long, help=", ".join(LONG_OPTIONS))
    add("-H", "--help-options", nargs=0, action=_LongHelp, help="list them")
    return made


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read and check the command line, without its files. Raises BenchUsageError; SystemExit(0) after -h."""
    how = parser().parse_args(arguments)
    check(how)
    # The port of a server that has none depends on an option that may come later.
    how.versus = [(name, Server(one.host, one.port or PORTS[how.mode])) for name, one in how.versus]
    return how


def check(how: argparse.Namespace) -> None:
    """Check the options that depend on each other. Raises BenchUsageError."""
    if how.mode not in PORTS:
        raise BenchUsageError(f"-m: one of {', '.join(PORTS)} expected, got {how.mode!r}")
    sources = [flag for flag, name in SOURCES.items() if getattr(how, name) is not None]
    if len(sources) > 1:
        raise BenchUsageError(f"{' and '.join(sources)} are two sources of queries: give one of them")
    for flag, name, needs in DEPENDENT:
        if getattr(how, name) is not None and not getattr(how, needs.lstrip("-").replace("-", "_")):
            raise BenchUsageError(f"{flag} needs {needs}")
    if how.queries_per_connection is not None and how.mode not in CONNECTED:
        raise BenchUsageError(f"--queries-per-connection needs connections: -m {' or '.join(CONNECTED)}")
    check_tls(how)
    check_messages(how)
    if how.local_port is not None and how.local_port + how.clients - 1 > MAX_PORT:
        raise BenchUsageError(f"-x: {how.clients} clients need as many ports, from {how.local_port} to {MAX_PORT}")
    if how.verbose and (how.json or how.versus):
        raise BenchUsageError("-v prints to standard output: it is for a run without --json and --versus")
    if how.pod is not None and how.search is not None:
        raise BenchUsageError("--pod and --search are two search lists: give one of them")
    if how.ndots is not None and how.pod is None and how.search is None:
        raise BenchUsageError("--ndots needs --pod or --search")
    if how.threads > how.clients:
        raise BenchUsageError(f"-T {how.threads} needs at least as many clients: -c {how.threads}")
    check_versus(how)


def check_messages(how: argparse.Namespace) -> None:
    """Check the options that say what the queries are. Raises BenchUsageError."""
    for flag, wanted in (("-B", how.binary), ("-u", how.updates)):
        if wanted and (how.corefile or how.template or how.check):
            raise BenchUsageError(f"{flag} is for a query file: it goes without --corefile, --template and --check")
    if how.binary:
        for flag, value in (("-e", how.edns), ("-D", how.dnssec_ok), ("-E", how.edns_option), ("-u", how.updates),
                            ("-y", how.tsig)):  # fmt: skip
            if value:
                raise BenchUsageError(f"-B asks messages as they are: it goes without {flag}")


def check_tls(how: argparse.Namespace) -> None:
    """Check the options of TLS. Raises BenchUsageError."""
    for flag, value in (("--tls-ca", how.tls_ca), ("--tls-name", how.tls_name), ("--tls-cert", how.tls_cert),
                        ("--resume", how.resume or None)):  # fmt: skip
        if value is not None and how.mode not in ENCRYPTED:
            raise BenchUsageError(f"{flag} needs an encrypted transport: -m {' or '.join(ENCRYPTED)}")
    for flag, wanted in (("--doh-uri", how.doh_uri), ("--doh-method", how.doh_method)):
        if wanted is not None and how.mode not in OVER_HTTP:
            raise BenchUsageError(f"{flag} needs DNS over HTTPS: -m {' or '.join(OVER_HTTP)}")
    if (how.tls_cert is None) != (how.tls_key is None):
        raise BenchUsageError("--tls-cert and --tls-key belong together: give both")


def check_versus(how: argparse.Namespace) -> None:
    """Check --versus and --pid. Raises BenchUsageError."""
    names = [name for name, _ in how.versus]
    if how.versus:
        if len(names) < 2 or len(set(names)) < len(names):
            raise BenchUsageError("--versus: at least two servers with different names expected")
        if how.server is not None or how.port is not None:
            raise BenchUsageError("--versus names the servers: -s and -p are for a run without it")
        if how.interval is not None:
            raise BenchUsageError("-S is for a run without --versus")
    pids = [name for name, _ in how.pid]
    if len(set(pids)) < len(pids):
        raise BenchUsageError("--pid: one process for each server")
    for name in pids:
        if how.versus and name not in names:
            raise BenchUsageError(
                f"--pid: NAME=PID with a name of --versus expected, got {name!r}: {', '.join(names)}"
            )
        if not how.versus and name:
            raise BenchUsageError(f"--pid {name}=PID: names need --versus; --pid PID without it")


SOURCES = {"-d": "data", "--corefile": "corefile", "--template": "template"}
DEPENDENT = [
    ("--kinds", "kinds", "--corefile"),
    ("--names", "names", "--template"),
    ("--rounds", "rounds", "--versus"),
]
