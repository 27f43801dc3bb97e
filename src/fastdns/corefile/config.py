"""A Corefile's text to a frozen ServerConfig: every option is checked, no socket or plugin's file is opened."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.keys import Key, KeyProblem, parse_key
from fastdns.corefile.lexer import Token
from fastdns.corefile.listeners import Endpoint, group, need_certificates, unencrypted, unreached
from fastdns.corefile.mistakes import Mistakes
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.corefile.parser import RawBlock, RawCorefile, parse
from fastdns.corefile.settings import together
from fastdns.corefile.values import clean, read_text
from fastdns.errors import CorefileError, FastdnsError, UnsupportedError
from fastdns.plugins import order
from fastdns.transports.table import DEFAULT_PORTS, DEFAULT_SCHEME, SERVED_SCHEMES, of_scheme

DEFAULT_FILE = "Corefile"
DEFAULT_PORT = DEFAULT_PORTS[DEFAULT_SCHEME]
# Go's JSON escapes these even where JSON need not, so that the sum is the one CoreDNS logs.
_GO_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
DEFAULT_COREFILE = ".:PORT {\n    whoami\n    log\n}\n"


def load_file(
    path: str,
    *,
    default_port: int = DEFAULT_PORT,
    environ: Mapping[str, str] | None = None,
    mistakes: Mistakes | None = None,
) -> ServerConfig:
    """Loads a Corefile from disk; see load. Raises CorefileError if it cannot be read, too."""
    return load(read_corefile(path), path, default_port=default_port, environ=environ, mistakes=mistakes)


def read_corefile(path: str) -> str:
    """The text of a Corefile. Raises CorefileError if it cannot be read."""
    try:
        return read_text(path, pipe=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CorefileError(f"cannot read the Corefile {path}: {reason}") from None


def default_config(port: int = DEFAULT_PORT) -> ServerConfig:
    """What is served when there is no Corefile, or one without a server block."""
    return replace(load(DEFAULT_COREFILE.replace("PORT", str(port)), environ={}), files=())


def load(
    text: str,
    file: str = DEFAULT_FILE,
    *,
    default_port: int = DEFAULT_PORT,
    environ: Mapping[str, str] | None = None,
    mistakes: Mistakes | None = None,
) -> ServerConfig:
    """Reads a Corefile; raises CorefileError with the place of the first mistake.

    file: its name in messages, and what relative imports are relative to. default_port: for keys that name
    none. environ: what ``{$NAME}`` refers to; that of this process unless given. mistakes: where they are kept, as
    many as can be told are in them before the first is raised.
    """
    mistakes = mistakes or Mistakes()
    environ = os.environ if environ is None else environ
    file = clean(file)
    raw = parse(text, file, environ, order.Directives(), mistakes)
    read: dict[str, Any] = {"sha512": _sha512(raw, file), "files": (file, *raw.files), "source": file}
    if not raw.blocks and not mistakes.found:
        return replace(default_config(default_port), warnings=tuple(dict.fromkeys(raw.warnings)), **read)
    warnings = list(raw.warnings)
    keys = [_keys(block, mistakes) for block in raw.blocks]
    blocks = _blocks(raw.blocks, keys, warnings, mistakes)
    if mistakes.found:
        raise mistakes.found[0]
    listeners = group(_endpoints(blocks, keys, default_port), blocks)
    if blocks and not listeners:
        plugins = blocks[0].plugins
        name = next(name for name in plugins if order.load(name).settings(plugins[name]).addresses == ())
        file, line = blocks[0].places[name]
        raise CorefileError(f"{name}: no address is left to listen at: except takes all of them", file, line)
    with mistakes.noted():
        need_certificates(listeners, blocks)
    if mistakes.found:
        raise mistakes.found[0]
    warnings += unreached(listeners, blocks) + unencrypted(listeners, blocks)
    return ServerConfig(
        blocks=blocks,
        listeners=listeners,
        warnings=tuple(dict.fromkeys(warnings)),
        **read,
    )


def _keys(block: RawBlock, mistakes: Mistakes) -> list[Key]:
    keys = []
    for token in block.keys:
        with mistakes.noted():
            keys.append(_key(token))
    return keys


def _key(token: Token) -> Key:
    try:
        key = parse_key(token.text)
    except KeyProblem as problem:
        raise CorefileError(str(problem), token.file, token.line) from None
    if key.scheme not in SERVED_SCHEMES:
        raise UnsupportedError(
            f"{token.text!r}: the transport {key.scheme} is not available in this version of fastdns",
            "remove the zone, or keep CoreDNS for this block",
            token.file,
            token.line,
        )
    for transport in of_scheme(key.scheme):
        if transport.package and find_spec(transport.package) is None:
            raise UnsupportedError(
                f"{token.text!r}: the transport {key.scheme} needs the package {transport.package}",
                f"install fastdns[{transport.extra}]",
                token.file,
                token.line,
            )
    return key


def _zones(keys: list[Key]) -> tuple[str, ...]:
    """The zones of a block, those that a CIDR adds last."""
    firsts = [key.zones[0] for key in keys]
    return tuple(dict.fromkeys(firsts + [zone for key in keys for zone in key.zones[1:]]))


def _blocks(
    raw: list[RawBlock], keys: list[list[Key]], warnings: list[str], mistakes: Mistakes
) -> tuple[ServerBlock, ...]:
    contexts = [
        BlockContext(
            # Where no key is right its plugins are read all the same.
            zones=_zones(block_keys) or (".",),
            file=block.keys[0].file,
            warnings=warnings,
            words=tuple(token.text for tokens in block.directives.values() for token in tokens),
        )
        for block, block_keys in zip(raw, keys, strict=True)
    ]
    plugins = _configure(raw, contexts, mistakes)
    for block, configured in zip(raw, plugins, strict=True):
        with mistakes.noted():
            _check_views(block, configured)
    return tuple(
        ServerBlock(
            index, block.keys[0].file, block.keys[0].line, contexts[index].zones, plugins[index],
            {name: (tokens[0].file, tokens[0].line) for name, tokens in block.directives.items()},
            together(order.load(name).settings(config) for name, config in plugins[index].items()),
        )
        for index, block in enumerate(raw)
    )  # fmt: skip


def _configure(
    blocks: list[RawBlock], contexts: list[BlockContext], mistakes: Mistakes
) -> list[dict[str, Any]]:
    """Of each block, plugin name to Config. Parses a plugin for all blocks before the next, as CoreDNS does."""
    plugins: list[dict[str, Any]] = [{} for _ in blocks]
    usable = set()
    for block in blocks:
        for name, tokens in block.directives.items():
            with mistakes.noted():
                _look_for(name, tokens)
                usable.add(name)
    for name in order.in_order(usable):
        for index, block in enumerate(blocks):
            if name not in block.directives:
                continue
            with mistakes.noted():
                config = _plugin(name, block.directives[name], contexts[index], mistakes)
                plugins[index][name] = config
                contexts[index] = order.load(name).context(config, contexts[index])
    return plugins


def _check_views(block: RawBlock, configured: dict[str, Any]) -> None:
    """Raises CorefileError where more than one plugin of a block decides which queries the block takes."""
    views = [name for name, config in configured.items() if order.load(name).settings(config).view is not None]
    if len(views) > 1:
        token = block.directives[views[1]][0]
        message = f"multiple views defined in server block: {views[0]} is one, too"
        raise CorefileError(message, token.file, token.line, views[1])


def _look_for(name: str, tokens: list[Token]) -> None:
    """Raises CorefileError where there is no plugin of that name, or it cannot be used."""
    if not order.is_available(name):
        raise UnsupportedError(
            "it is not available in this version of fastdns",
            "remove it, or keep CoreDNS for this block",
            tokens[0].file,
            tokens[0].line,
            name,
        )
    try:
        order.load(name)
    except FastdnsError as error:
        raise CorefileError(str(error), tokens[0].file, tokens[0].line, name) from None


def _plugin(name: str, tokens: list[Token], context: BlockContext, mistakes: Mistakes) -> Any:
    # Only what the Corefile uses is imported: every worker pays for it in memory.
    plugin = order.load(name)
    return plugin.parse(Dispenser(name, tokens, context.file, mistakes, plugin.removed_options), context)


def _endpoints(
    blocks: tuple[ServerBlock, ...], keys: list[list[Key]], default_port: int
) -> Iterator[Endpoint]:
    """Every zone at every address of its block, in order."""
    ports = {**DEFAULT_PORTS, DEFAULT_SCHEME: default_port}
    for block, block_keys in zip(blocks, keys, strict=True):
        addresses = ("",) if block.settings.addresses is None else block.settings.addresses
        for key in block_keys:
            port = ports[key.scheme] if key.port is None else key.port
            for zone in key.zones:
                for address in addresses:
                    yield Endpoint(key.scheme, address, port, zone, block.index)


def _sha512(raw: RawCorefile, file: str) -> str:
    """Over what CoreDNS's reload hashes: keys, and tokens with their lines; files of imported ones only.

    A comment that moves no line changes nothing; the values of the environment count.
    """
    blocks = [
        {
            "Keys": [key.text for key in block.keys],
            "Tokens": {
                name: [
                    {"File": "" if token.file == file else token.file, "Line": token.line, "Text": token.text}
                    for token in tokens
                ]
                for name, tokens in sorted(block.directives.items())
            },
        }
        for block in raw.blocks
    ]
    text = json.dumps(blocks, ensure_ascii=False, separators=(",", ":")).translate(_GO_ESCAPES)
    return hashlib.sha512(text.encode()).hexdigest()
