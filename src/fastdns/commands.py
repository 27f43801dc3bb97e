"""The commands and flags of fastdns, as a table: for the parser, -h, the completion of shells, and the manual.

The options of ``fastdns bench`` are in its argparse parsers (``bench/options.py``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flag:
    """names: without dashes; the first one is what the program calls it. value: what stands behind it; "" where it
    is on or off. files: whether its value is a path."""

    names: tuple[str, ...]
    value: str
    help: str
    files: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A word behind ``fastdns``. does: in a line or two of the overview. text: behind the synopsis. words: what may
    stand behind its flags."""

    name: str
    synopsis: str
    does: tuple[str, ...]
    text: str
    flags: tuple[Flag, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def known(self) -> set[str]:
        """The names of its flags, with those of the help."""
        return {name for flag in self.flags for name in flag.names} | {"help", "h"}


def _conf(text: str) -> Flag:
    return Flag(("conf",), "FILE", f'{text}; "stdin" reads standard input (default "Corefile")', files=True)


PORT = Flag(("dns.port", "p"), "N", "port of server blocks that name none (default 53)")
SHELLS = ("bash", "fish", "zsh")

SERVE = Command(
    "",
    "fastdns [flags]",
    ("serve",),
    "",
    (
        _conf("Corefile to load"),
        PORT,
        Flag(("pidfile",), "FILE", "write the process id there", files=True),
        Flag(("plugins",), "", "list the plugins and exit"),
        Flag(("quiet",), "", "print no start-up lines"),
        Flag(("version",), "", "print the version and exit"),
    ),
)
CHECK = Command(
    "check",
    "fastdns check [-conf FILE] [-dns.port PORT] [-differences] [-strict] [-json] [-schema]",
    ("name each mistake of a Corefile, or print what would be", "served; say what becomes of each of its lines"),
    """\
Reads a Corefile and the files that its plugins read. Names each mistake with its file and line and exits with 1, or
prints what would be served and exits with 0. Serves nothing and connects to nothing.
Then it says what becomes of each line of a Corefile that CoreDNS has served:
  same         as with CoreDNS
  better       nothing to do: what CoreDNS did right has not changed
  different    read the reason: somebody may rely on CoreDNS's way
  unsupported  fastdns does not have it (exit code 1)
  error        it has to be corrected (exit code 1)
""",
    (
        _conf("Corefile to check"),
        PORT,
        Flag(("differences",), "", "print, too, what each plugin of the Corefile does otherwise than CoreDNS's"),
        Flag(("strict",), "", "exit with 3 where a line is different, and none is unsupported or an error"),
        Flag(("json",), "", "print one JSON object in place of text"),
        Flag(("schema",), "", "print the JSON schema of that object"),
    ),
)
DEMO = Command(
    "demo",
    "fastdns demo [-dns.port PORT] [-manifests PATH]",
    ("serve an example cluster on 127.0.0.1",),
    """\
Serves an example cluster on 127.0.0.1, UDP and TCP, with /health on port 8080, /ready on 8181 and /metrics on 9153.
Free ports take the place of those that other programs have. The manifests are watched: each answer that a change of
them changes is printed, with the time from the change to the answer.
""",
    (
        Flag(("dns.port", "p"), "N", "port (default 1053, or a free one)"),
        Flag(
            ("manifests",), "PATH",
            "a file or folder of YAML or JSON (default: the example that comes with fastdns)", files=True,
        ),
    ),
)  # fmt: skip
BENCH = Command(
    "bench", "fastdns bench [options]", ("load a DNS server and measure it; -h lists the options",), "",
    words=("cluster",),
)  # fmt: skip
TOP = Command(
    "top",
    "fastdns top [-url URL] [-interval SECONDS] [-n ROWS] [-json]",
    ("show what a running server does, as it goes on",),
    """\
Shows what a running server does: rates, latency, cache, workers, upstreams, and who asks most where its Corefile
has top. It reads /metrics and /top of the server. On a terminal it goes on until q is pressed; elsewhere it prints
once, after an interval. Without -url it looks for top at http://localhost:6054, then for prometheus at
http://localhost:9153. NO_COLOR in the environment: without colour.
""",
    (
        Flag(("url",), "URL", "address of top or prometheus in the server's Corefile"),
        Flag(("interval",), "SECONDS", "time between two readings, 1 to 3600 (default 2)"),
        Flag(("n",), "ROWS", "rows of each table of top, 1 to 100 (default 10)"),
        Flag(("json",), "", "print JSON, once"),
    ),
)
COMPLETION = Command(
    "completion",
    "fastdns completion bash|fish|zsh",
    ("print what makes a shell complete the words of fastdns",),
    """\
Prints a script that makes a shell complete commands, flags, files and plugins:
  bash  source <(fastdns completion bash)          in ~/.bashrc
  fish  fastdns completion fish | source           in ~/.config/fish/config.fish
  zsh   source <(fastdns completion zsh)           in ~/.zshrc, behind compinit
""",
    words=SHELLS,
)
MAN = Command(
    "man",
    "fastdns man [PAGE]",
    ("show a page of the manual: fastdns, corefile, a plugin",),
    """\
Shows a page of the manual: fastdns (default), bench, cluster, corefile, or the name of a plugin. By man(1) on a
terminal, where there is one; else the page is printed in troff's form, for `fastdns man corefile | man -l -`.
""",
)
HELP = Command("help", "fastdns help [COMMAND]", ("print this, or the usage of a command",), "")
VERSION = Command("version", "fastdns version", ("print the version and what it runs on",), "")

COMMANDS = (CHECK, DEMO, BENCH, TOP, COMPLETION, MAN, HELP, VERSION)

# Name, meaning, default: of the variables of the environment that operators set.
ENVIRONMENT = (
    ("FASTDNS_WORKERS", "worker processes", "CPUs by affinity, cgroup quota and memory"),
    ("FASTDNS_STORE_MIB", "MiB of the zone store, at most", "512"),
    ("FASTDNS_MAX_TCP_CONNECTIONS", "TCP connections of a worker, at most", "4096"),
    ("FASTDNS_MAX_TCP_MIB", "MiB that TCP connections of all workers hold, at most", "32"),
    ("FASTDNS_MAX_HTTP_CONNECTIONS", "connections of each HTTP endpoint, at most", "256"),
    ("FASTDNS_METRICS_MAX_AGE_MS", "age of /metrics in ms, at most", "1000"),
    ("FASTDNS_MAX_IN_FLIGHT", "outstanding queries of all workers to upstreams, at most", "16384"),
    ("FASTDNS_MAX_PYTHON_QUERIES", "queries of all workers that steps in Python work on, at most", "4096"),
    ("FASTDNS_LOG_LINES_S", "lines of log a second of each serving thread, at most", "100000"),
)


# Synopses that are too long for the overview.
SHORT = {"check": "fastdns check [-conf FILE]", "demo": "fastdns demo [flags]", "top": "fastdns top [flags]"}


def flag_text(flag: Flag) -> str:
    """``-dns.port, -p N``."""
    return ", ".join(f"-{name}" for name in flag.names) + (f" {flag.value}" if flag.value else "")


def _flag_lines(command: Command) -> list[str]:
    return [f"  {flag_text(flag):<16}  {flag.help}" for flag in command.flags]


def usage(command: Command) -> str:
    """What ``fastdns COMMAND -h`` prints."""
    parts = [f"Usage: {command.synopsis}\n"]
    if command.text:
        parts.append(command.text)
    if command.flags:
        parts.append("\n".join(["Flags, with one or two dashes:", *_flag_lines(command)]) + "\n")
    return "\n".join(parts)


def overview() -> str:
    """What ``fastdns -h`` prints."""
    lines: list[str] = []
    for command in (SERVE, *COMMANDS):
        synopsis = SHORT.get(command.name, command.synopsis)
        head = "Usage: " if not lines else " " * 7
        first, *more = command.does
        lines += [f"{head}{synopsis:<32} {first}", *(f"{'':<40}{line}" for line in more)]
    variables = [f"  {name:<28} {meaning} (default{'' if default.isdigit() else ':'} {default})"
                 for name, meaning, default in ENVIRONMENT]  # fmt: skip
    flags = ["Flags, with one or two dashes:", *_flag_lines(SERVE)]
    return "\n".join([*lines, "", *flags, "", "Environment:", *variables, ""])
