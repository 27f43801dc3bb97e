"""The options of on: which command is run when."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser

STARTUP, SHUTDOWN, CERTRENEW = "startup", "shutdown", "certrenew"
EVENTS = (STARTUP, SHUTDOWN, CERTRENEW)
BACKGROUND = "&"


@dataclass(frozen=True, slots=True)
class Command:
    """words: program and arguments. background: nobody waits for its end."""

    event: str
    words: tuple[str, ...]
    background: bool = False

    def __str__(self) -> str:
        return shlex.join(self.words)


@dataclass(frozen=True, slots=True)
class Config:
    """All commands of a block, in their order."""

    commands: tuple[Command, ...] = ()


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Each occurrence adds a command. Raises CorefileError."""
    commands = tuple(_command(d) for _ in d.occurrences())
    if any(command.event == CERTRENEW for command in commands):
        block.warnings.append("plugin/on: no plugin renews certificates: the commands of certrenew never run")
    return Config(commands)


def _command(d: Dispenser) -> Command:
    event = d.text.lower() if d.next_arg() else ""
    if event not in EVENTS:
        raise d.error(f"expected an event: {', '.join(EVENTS)}" + (f"; got {d.text!r}" if event else ""))
    try:
        # A quoted argument of the Corefile is split once more: it may be a whole command line.
        words = shlex.split(" ".join(d.remaining_args()))
    except ValueError as error:
        raise d.error(f"the command cannot be split into words: {error}") from None
    background = words[1:][-1:] == [BACKGROUND]
    if background:
        words.pop()
    if not words:
        raise d.arg_error("a command")
    return Command(event, tuple(words), background)
