"""Shell completion: the scripts, and what they call: ``fastdns __complete WORDS...``.

A script knows nothing of fastdns. It hands over the words behind the program, up to the one that is being written.
It gets a line for each word that may stand there, with its meaning behind a tab; or ``:files`` where a path is
expected. So the script of one version is right for the next. Generators such as shtab read argparse's parsers only,
and flags in Go's form (``-conf``) have none.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastdns.commands import COMMANDS, SERVE, SHELLS, Command

FILES = ":files"

SCRIPTS = {
    "bash": """\
_fastdns() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            compopt -o filenames
            while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$2")
            return
        fi
        COMPREPLY+=("${line%%$'\\t'*}")
    done < <("$1" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _fastdns fastdns
""",
    "fish": """\
function __fastdns_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l found ($words[1] __complete $words[2..-1] "$last" 2>/dev/null)
    if test "$found[1]" = :files
        __fish_complete_path "$last"
    else
        printf '%s\\n' $found
    end
end
complete -c fastdns -f -a '(__fastdns_complete)'
""",
    "zsh": """\
#compdef fastdns
_fastdns() {
    local line
    local -a found
    for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        if [[ $line == :files ]]; then
            _files
            return
        fi
        [[ -n $line ]] && found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done
    _describe fastdns found
}
compdef _fastdns fastdns
""",
}
assert tuple(sorted(SCRIPTS)) == SHELLS


def candidates(words: Sequence[str]) -> list[str]:
    """Lines for what may stand in the place of the last word."""
    *before, last = words or [""]
    command = next((command for command in COMMANDS if before and command.name == before[0]), SERVE)
    if command.name == "bench":
        known = _of_bench(before)
    else:
        known = _of(command)
        # Two dashes are as good as one.
        *before, last = [f"-{word[2:]}" if word.startswith("--") else word for word in [*before, last]]
    _, value = known.get(before[-1], ("", None)) if before else ("", None)
    if value is not None:
        return [FILES] if value == FILES else _beginning(last, ((word, "") for word in value.split()))
    if last.startswith("-"):
        return _beginning(last, ((name, text) for name, (text, _) in known.items()))
    return _beginning(last, _words(command, before))


def _beginning(start: str, found: Iterator[tuple[str, str]]) -> list[str]:
    return [f"{word}\t{text}" for word, text in found if word.startswith(start)]


def _words(command: Command, before: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The words that may stand behind the command, without flags."""
    if command is SERVE and not before:
        yield from ((other.name, " ".join(other.does)) for other in COMMANDS)
    elif len(before) == 1 and command.name == "help":
        yield from ((other.name, " ".join(other.does)) for other in COMMANDS if other.name != "help")
    elif len(before) == 1 and command.name == "man":
        from fastdns.manual import pages

        yield from ((page, "") for page in pages())
    elif len(before) == 1:
        yield from ((word, "") for word in command.words)


# Flag -> what it does, and what its value is: FILES, words to choose from, "" for any text, None without a value.
Known = dict[str, tuple[str, str | None]]


def _of(command: Command) -> Known:
    flags: Known = {
        f"-{name}": (flag.help, FILES if flag.files else "" if flag.value else None)
        for flag in command.flags
        for name in flag.names
    }
    return flags | {"-help": ("print the usage", None)}


def _of_bench(before: Sequence[str]) -> Known:
    """The options of a parser of argparse."""
    if before[1:2] == ["cluster"]:
        from fastdns.bench.cluster.options import parser
    else:
        from fastdns.bench.options import parser
    found: Known = {}
    for action in parser()._actions:
        if action.help == argparse.SUPPRESS:
            continue
        value: str | None = ""
        if action.nargs == 0:
            value = None
        elif action.choices:
            value = " ".join(map(str, action.choices))
        elif action.type is Path:
            value = FILES
        found |= dict.fromkeys(action.option_strings, ((action.help or "").replace("\n", " "), value))
    return found
