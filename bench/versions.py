"""What programs say of their version, in a few words."""

from __future__ import annotations

import re
import shlex
import subprocess

# By program: the arguments, and where in what it says the version stands.
ASK = {
    "knotd": (["-V"], r"(Knot DNS)\), version (\S+)"),
    "nsd": (["-v"], r"(NSD) version (\S+)"),
    "unbound": (["-V"], r"Version (\S+)"),
    "named": (["-V"], r"(BIND) (\d\S*?)[-\s]"),
    "dnsdist": (["--version"], r"(dnsdist) (\S+)"),
    "coredns": (["-version"], r"(CoreDNS)-(\S+)"),
    "kresd": (["--version"], r"(Knot Resolver), version (\S+)"),
    "dnsperf": (["-h"], r"Version (\S+)"),
}
NAMES = {"unbound": "Unbound", "dnsperf": "dnsperf"}


def version(program: str, said: str) -> str:
    """The version in what a program of ASK said; its first line where nothing is found there."""
    found = re.search(ASK[program][1], said)
    if found is None:
        return said.strip().partition("\n")[0]
    words = " ".join(found.groups())
    return f"{NAMES[program]} {words}" if program in NAMES else words


def ask(program: str, path: str) -> str:
    """Call it and read its version."""
    said = subprocess.run([path, *ASK[program][0]], capture_output=True, text=True, check=False)
    return version(program, said.stdout + said.stderr)


def fastdns_version(command: str) -> str:
    """The first line of what fastdns, called so, says."""
    said = subprocess.run([*shlex.split(command), "-version"], capture_output=True, text=True, check=False)
    return (said.stdout or said.stderr).strip().partition("\n")[0]


def commit() -> str:
    """The commit of this checkout, with a plus where files differ from it; empty outside of one."""
    said = subprocess.run(
        ["git", "describe", "--always", "--abbrev=7", "--dirty=+"], capture_output=True, text=True, check=False
    )
    return said.stdout.strip() if said.returncode == 0 else ""
