"""Files of secrets, in the format of named.conf; and which keys a block has.

    key "NAME" {
        algorithm hmac-sha256;
        secret "BASE64";
    };

As in CoreDNS, semicolons may be missing, and a secret is not bound to the algorithm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fastdns.corefile.mistakes import said_of
from fastdns.corefile.model import ServerConfig
from fastdns.dns._signatures import KeyRing
from fastdns.errors import FastdnsError
from fastdns.plugins.tsig.config import Config, to_key_name, to_secret

MAX_FILE_BYTES = 1 << 20
# Of one block, with those of the blocks beside it. A key takes 0.7 kB.
MAX_KEYS = 4096

_TOKEN = re.compile(r'"[^"]*"|[{};]|[^\s{};"]+|"')
_COMMENT = ("#", "//")

Secrets = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a file. line: from 1."""

    text: str
    line: int

    @property
    def word(self) -> str:
        """Without quotation marks."""
        return self.text.strip('"')


def tokens(text: str) -> Iterator[Token]:
    """The words of a file, without lines that are comments."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith(_COMMENT):
            for found in _TOKEN.finditer(line):
                yield Token(found[0], number)


def parse_keys(text: str) -> Secrets:
    """The secrets of a file by the key's name in lowercased wire form. Raises ValueError with the line."""
    words = tokens(text)
    end = Token("", text.count("\n") + 1)
    found: Secrets = {}

    def expect(what: str, *wanted: str) -> Token:
        token = next(words, end)
        if token.text in wanted or (not wanted and token.word and token.text not in ("{", "}", ";")):
            return token
        raise ValueError(f"line {token.line}: expected {what}, got {token.text!r}")

    for token in words:
        if token.text == ";":
            continue
        if token.text != "key":
            raise ValueError(f"line {token.line}: unexpected token {token.text!r}; expected key")
        name_token = expect("the name of a key")
        expect("{", "{")
        secret = None
        while (token := expect("algorithm, secret or }", "algorithm", "secret", "}", ";")).text != "}":
            if token.text == "algorithm":
                expect("the name of an algorithm")
            elif token.text == "secret":
                secret = expect("a secret")
        try:
            name = to_key_name(name_token.word)
            if name in found:
                raise ValueError(f"key {name_token.word!r} redefined")
            if secret is None:
                raise ValueError(f"expected a secret for key {name_token.word!r}")
            found[name] = to_secret(secret.word)
        except ValueError as error:
            raise ValueError(f"line {name_token.line}: {error}") from None
    return found


def read_keys(file: str) -> Secrets:
    """The secrets of a file. Raises FastdnsError."""
    try:
        with Path(file).open(encoding="utf-8") as opened:
            text = opened.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise ValueError(f"it has more than {MAX_FILE_BYTES} bytes")
        return parse_keys(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise FastdnsError(f"{file}: {reason}") from None


def secrets_of(config: Config) -> Secrets:
    """The secrets of one tsig. Raises FastdnsError."""
    found = dict(config.secrets)
    for file in config.files:
        more = read_keys(file)
        if again := found.keys() & more.keys():
            from fastdns.dns.names import text_name

            raise FastdnsError(f"{file}: key {text_name(min(again))!r} redefined")
        found |= more
    return found


def key_rings(config: ServerConfig) -> dict[int, KeyRing]:
    """By index of a block that has tsig: the keys of all blocks that share a listener with it. Its own come before
    another block's of the same name. Raises FastdnsError."""
    own: dict[int, Secrets] = {}
    for block, options in config.with_plugin("tsig"):
        with said_of("tsig", block):
            own[block.index] = secrets_of(options)
    rings: dict[frozenset[tuple[bytes, bytes]], KeyRing] = {}
    found = {}
    for block, _ in config.with_plugin("tsig"):
        together = {**_beside(config, own, block.index), **own[block.index]}
        if len(together) > MAX_KEYS:
            raise FastdnsError(f"plugin/tsig: a listener has {len(together)} keys; expected at most {MAX_KEYS}")
        same = frozenset(together.items())
        if same not in rings:
            rings[same] = KeyRing(together)
        found[block.index] = rings[same]
    return found


def _beside(config: ServerConfig, own: Mapping[int, Secrets], index: int) -> Secrets:
    """The secrets of the blocks on the listeners of a block."""
    found: Secrets = {}
    for listener in config.listeners:
        there = {number for _, number in listener.zones}
        if index in there:
            for number in sorted(there & own.keys()):
                found |= own[number]
    return found
