"""The command line: CoreDNS's flags, spelled as it spells them, and the commands of ``commands.py``.

Exit codes: 0 after an orderly end, 1 if the server cannot start, 2 for a wrong command line or after SIGINT, 3 of
``check -strict`` where a line is different.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fastdns import __version__
from fastdns.commands import BENCH, CHECK, COMMANDS, COMPLETION, DEMO, MAN, SERVE, TOP, overview, usage
from fastdns.corefile import ServerConfig, default_config, load, load_file
from fastdns.corefile.config import read_corefile
from fastdns.corefile.keys import name_warnings
from fastdns.errors import FastdnsError
from fastdns.inherited import check_process, open_standard_streams, take_signals
from fastdns.plugins import order
from fastdns.terminal import wants_colour, width_of

USAGE = overview()
DEFAULT_FILE = "Corefile"


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


BOOLEANS = {flag.names[0] for command in (SERVE, *COMMANDS) for flag in command.flags if not flag.value}
BOOLEANS |= {"help", "h"}
SERVE_FLAGS = SERVE.known
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
    # What is made until the first fork stays: the supervisor looks for garbage once, then, and turns this on again.
    gc.disable()
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
    from fastdns import check, migration

    flags = parse_flags(arguments, CHECK.known)
    if flags.on("help") or flags.on("h"):
        print(usage(CHECK), end="")
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


def main_demo(arguments: list[str]) -> int:
    """``fastdns demo``: an example cluster on the loopback, with health, ready and metrics."""
    from fastdns import demo

    flags = parse_flags(arguments, DEMO.known)
    if flags.on("help") or flags.on("h"):
        print(usage(DEMO), end="")
        return 0
    if flags.rest:
        return fatal(f"extra command line arguments: [{' '.join(flags.rest)}]")
    asked = flags.port(demo.DNS_PORT) if flags.get("dns.port") else None
    ports = demo.choose_ports(asked)
    with demo.temporary_folder() as folder:
        manifests = Path(flags.get("manifests") or demo.example(Path(folder)))
        if not manifests.exists():
            return fatal(f"{manifests}: no such file or folder")
        text = demo.corefile(ports, manifests)

        def announce(config: ServerConfig) -> None:
            lines = [*zone_lines(config), *version_lines(), *demo.told(ports, manifests, asked)]
            print("\n".join(lines), flush=True)
            demo.start_telling(ports["dns"], manifests)

        return serve(flags, lambda: load(text, "demo", default_port=ports["dns"]), announce)


def main_bench(arguments: list[str]) -> int:
    """``fastdns bench``: loads and measures a DNS server. A server imports nothing of it."""
    from fastdns.bench.cli import main

    return main(arguments)


def main_completion(arguments: list[str]) -> int:
    """``fastdns completion SHELL``: the script that makes a shell complete words."""
    from fastdns.completion import SCRIPTS

    if arguments and arguments[0] in ("-h", "-help", "--help"):
        print(usage(COMPLETION), end="")
        return 0
    if len(arguments) != 1 or arguments[0] not in SCRIPTS:
        raise UsageError(f"one of {', '.join(SCRIPTS)} expected, got {' '.join(arguments) or 'nothing'!r}")
    print(SCRIPTS[arguments[0]], end="")
    return 0


def main_complete(arguments: list[str]) -> int:
    """What the scripts of completion call."""
    from fastdns.completion import candidates

    print("".join(f"{line}\n" for line in candidates(arguments)), end="")
    return 0


def main_man(arguments: list[str]) -> int:
    """``fastdns man [PAGE]``: a page of the manual."""
    from fastdns import manual

    if arguments and arguments[0] in ("-h", "-help", "--help"):
        print(usage(MAN), end="")
        return 0
    if len(arguments) > 1:
        return fatal(f"extra command line arguments: [{' '.join(arguments[1:])}]")
    return manual.show(arguments[0] if arguments else "fastdns")


def main_top(arguments: list[str]) -> int:
    """``fastdns top``: what a running server does."""
    flags = parse_flags(arguments, TOP.known)
    if flags.on("help") or flags.on("h"):
        print(usage(TOP), end="")
        return 0
    if flags.rest:
        raise UsageError(f"extra command line arguments: [{' '.join(flags.rest)}]")
    from fastdns.top.reading import base_url, default_url
    from fastdns.top.screen import How, run

    interval, rows = flags.get("interval", "2").removesuffix("s"), flags.get("n", "10")
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", interval) or not 1 <= float(interval) <= 3600:
        raise UsageError(f'invalid value "{interval}" for flag -interval: 1 to 3600 seconds expected')
    if not rows.isdecimal() or not 1 <= int(rows) <= 100:
        raise UsageError(f'invalid value "{rows}" for flag -n: 1 to 100 expected')
    url = base_url(flags.get("url")) if flags.get("url") else default_url()
    return run(How(url, float(interval), int(rows), flags.on("json")))


def main_help(arguments: list[str]) -> int:
    """``fastdns help``: the usage of everything, or of one command."""
    if not arguments:
        print(USAGE, end="")
        return 0
    if arguments[0] == BENCH.name:
        return main_bench(["-h"])
    known = {command.name: command for command in COMMANDS}
    if arguments[0] not in known:
        return fatal(f"no command {arguments[0]!r}: one of {', '.join(known)} expected")
    print(usage(known[arguments[0]]), end="")
    return 0


def main_version(arguments: list[str]) -> int:
    """``fastdns version``: the same as -version."""
    return main_serve(["-version", *arguments])


MAINS: dict[str, Callable[[list[str]], int]] = {
    "__complete": main_complete, "bench": main_bench, "check": main_check, "completion": main_completion,
    "demo": main_demo, "help": main_help, "man": main_man, "top": main_top, "version": main_version,
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """The entry point; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    open_standard_streams()
    name = words[0] if words and words[0] in MAINS else ""
    try:
        return MAINS[name](words[1:]) if name else main_serve(words)
    except UsageError as error:
        text = next((usage(command) for command in COMMANDS if command.name == name), USAGE)
        print(f"{error}\n{text}", file=sys.stderr, end="", flush=True)
        return 2
    except FastdnsError as error:
        return fatal(error)


if __name__ == "__main__":
    sys.exit(main())
