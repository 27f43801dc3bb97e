"""Looks at commands that a test cannot run: syntax, programs, subcommands, options, files and make targets."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess

from fastdns import cli
from fastdns.bench.cluster.options import parse as parse_cluster
from fastdns.bench.options import parse as parse_bench
from fastdns.commands import COMMANDS
from fastdns.errors import FastdnsError
from tests.docs.fences import ROOT, Block, commands_of

# Programs that pages name, and the first words that may stand behind them. An empty set: any.
PROGRAMS: dict[str, set[str]] = {
    "apt": {"install"},
    "apt-get": {"install"},
    "aws": {"eks"},
    "buildah": {"build"},
    "cd": set(),
    "coredns": set(),
    "curl": set(),
    "dig": set(),
    "docker": {"build", "cp", "create", "push", "rm", "run", "tag"},
    "etcdctl": {"put"},
    "fastdns": {command.name for command in COMMANDS},
    "gh": {"attestation"},
    "git": {"clone", "pull"},
    "go": {"install", "tool"},
    "ip": {"link", "address"},
    "helm": {"install", "rollback", "upgrade"},
    "kdig": set(),
    "kind": {"load", "create"},
    "kubectl": {
        "annotate", "apply", "config", "create", "debug", "delete", "describe", "edit", "exec", "get", "label",
        "logs", "patch", "port-forward", "replace", "rollout", "run", "scale", "set", "top", "wait",
    },
    "make": set(),
    "openssl": {"req"},
    "pip": {"install"},
    "python": set(),
    "python3": set(),
    "touch": set(),
}  # fmt: skip


def problems(block: Block) -> list[str]:
    """What is wrong with the commands of a block that is not run."""
    found = []
    for command in commands_of(block):
        ended = subprocess.run(["bash", "-n"], input=command.text + "\n", capture_output=True, text=True)
        if ended.returncode:
            found.append(ended.stderr.strip())
            continue
        for words in simple_commands(command.text):
            found += [f"{problem}: {shlex.join(words)}" for problem in problems_of(words)]
    return [f"{block.place}: {problem}" for problem in found]


def simple_commands(text: str) -> list[list[str]]:
    """The words of each command between ``|``, ``;``, ``&&`` and ends of lines."""
    found: list[list[str]] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("|;&"):
                if words:
                    found.append(words)
                words = []
            elif words or not (word == "sudo" or re.match(r"\w+=", word)):
                words.append(word)
    return found


def problems_of(words: list[str]) -> list[str]:
    """What is wrong with one command."""
    program, rest = words[0], words[1:]
    if program.startswith("build/") or program.startswith("./"):
        return []
    if is_of_the_checkout(program):
        return [] if (ROOT / program).exists() else [f"there is no {program}"]
    if program not in PROGRAMS:
        return [f"no program {program!r} is known to tests/docs/statics.py"]
    found = [f"there is no {word}" for word in rest if is_of_the_checkout(word) and not (ROOT / word).exists()]
    first = next((word for word in rest if not word.startswith("-")), "")
    if program == "fastdns":
        return [*found, *fastdns_problems(rest)]
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        found += [f"no target {word!r}" for word in rest if "=" not in word and word not in targets]
    elif program.startswith("python") and rest[:1] == ["-m"] and rest[1].startswith("bench."):
        module = ROOT / f"{rest[1].replace('.', '/')}.py"
        if not module.exists():
            return [*found, f"no module {rest[1]}"]
        options = [word.partition("=")[0] for word in rest if word.startswith("--")]
        found += [f"{rest[1]} has no {option}" for option in options if f'"{option}"' not in module.read_text()]
    elif PROGRAMS[program] and first not in PROGRAMS[program] and not any(w in PROGRAMS[program] for w in rest):
        found.append(f"no word {first!r} of {program} is known to tests/docs/statics.py")
    return found


def is_of_the_checkout(word: str) -> bool:
    """Whether a word names a file of a checkout."""
    return re.fullmatch(r"(deploy|bench|docs|src|tests)/[\w./-]+", word) is not None


def fastdns_problems(rest: list[str]) -> list[str]:
    """What is wrong with a command line of fastdns."""
    rest = [word for word in rest if not word.startswith(">")]
    try:
        if rest[:2] == ["bench", "cluster"]:
            parse_cluster(rest[2:])
        elif rest[:1] == ["bench"]:
            parse_bench(rest[1:])
        elif rest and not rest[0].startswith("-"):
            command = next((command for command in COMMANDS if command.name == rest[0]), None)
            if command is None:
                return [f"no command {rest[0]!r}"]
            cli.parse_flags(rest[1:], command.known)
        else:
            cli.parse_flags(rest, cli.SERVE_FLAGS)
    except (FastdnsError, SystemExit) as error:
        return [str(error)]
    return []


# Programs that come with no base system: pages that use one are skipped where it is missing.
TOOLS = {"curl", "dig", "dnsperf", "kdig", "pgrep", "pkill", "ps"}


def missing_tools(text: str) -> set[str]:
    """Programs that a page runs and this machine does not have."""
    words = {word for words in simple_commands(text) for word in words}
    return {tool for tool in TOOLS & words if shutil.which(tool) is None}
