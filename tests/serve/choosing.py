"""Plugins of a package of tests: a filter, a provider of values, and steps that show which block has answered.

    choose NAME {
        client CIDR; below ZONE; type T; class C; protocol udp|tcp; server ADDRESS; value PLUGIN/NAME TEXT
    }
    gather [ZONES]          values can be read in this block
    facts { KEY TEXT }      provides facts/KEY for each, and facts/client
    say TEXT [PLUGIN/NAME LENGTH]
    ask NAME
    wait
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dns.rdataclass
import dns.rdatatype

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.corefile.options import one, to_value_name, to_zones
from fastdns.corefile.settings import Settings
from fastdns.dns.names import wire_name
from fastdns.plugins.api import Plugin, Runtime

if TYPE_CHECKING:
    from fastdns.serve._values import NativeValue
    from fastdns.serve._zones import NativeFilter, NativeStep
    from tests.serve._choosing import ChoosingFilter, FactValue, WaitingRoom


@dataclass(frozen=True, slots=True)
class Choice:
    """view, and what must hold. value: a name and the text that it must have."""

    view: str
    client: str = ""
    below: str = ""
    kind: str = ""
    class_: str = ""
    protocol: str = ""
    server: str = ""
    value: tuple[str, str] | None = None


class Choose(Plugin):
    """A filter."""

    name = "choose"
    after = "whoami"

    def __init__(self) -> None:
        # Of this process, by block.
        self.made: dict[int, ChoosingFilter] = {}

    def parse(self, tokens: Dispenser, context: BlockContext) -> Choice:
        fields: dict[str, Any] = {}
        for _ in tokens.occurrences(once=True):
            fields["view"] = one(tokens)
            while tokens.next_block():
                option = tokens.text
                if option == "value":
                    tokens.next_arg()
                    fields["value"] = to_value_name(tokens, tokens.text), one(tokens)
                else:
                    fields[{"type": "kind", "class": "class_"}.get(option, option)] = one(tokens)
        return Choice(**fields)

    def settings(self, config: Choice) -> Settings:
        return Settings(view=config.view, every_class=config.class_ != "")

    def filter(self, config: Choice, block: ServerBlock, runtime: Runtime) -> NativeFilter:
        from fastdns.plugins.values import value_of
        from tests.serve._choosing import ChoosingFilter

        network = ipaddress.ip_network(config.client) if config.client else None
        self.made[block.index] = ChoosingFilter(
            network=None if network is None else (network.network_address.packed, network.prefixlen),
            below=wire_name(config.below) if config.below else None,
            qtype=int(dns.rdatatype.from_text(config.kind)) if config.kind else 0,
            qclass=int(dns.rdataclass.from_text(config.class_)) if config.class_ else 0,
            tcp=config.protocol == "tcp" if config.protocol else None,
            server=ipaddress.ip_address(config.server).packed if config.server else None,
            value=None
            if config.value is None
            else (value_of(config.value[0], block, runtime), config.value[1].encode()),
        )
        return self.made[block.index]


class Gather(Plugin):
    """Values can be read. It stands in for CoreDNS's metadata."""

    name = "gather"
    after = "root"

    def parse(self, tokens: Dispenser, context: BlockContext) -> tuple[str, ...]:
        zones = context.zones
        for _ in tokens.occurrences(once=True):
            zones = to_zones(tokens, tokens.remaining_args()) or zones
        return zones

    def settings(self, config: tuple[str, ...]) -> Settings:
        return Settings(value_zones=config)


class Facts(Plugin):
    """Values."""

    name = "facts"
    after = "whoami"

    def __init__(self) -> None:
        # Of this process, by block and name.
        self.made: dict[tuple[int, str], FactValue] = {}

    def parse(self, tokens: Dispenser, context: BlockContext) -> dict[str, str]:
        facts = {}
        for _ in tokens.occurrences(once=True):
            while tokens.next_block():
                key = tokens.text
                facts[key] = one(tokens)
        return facts

    def value(self, name: str, config: dict[str, str], block: ServerBlock, runtime: Runtime) -> NativeValue | None:
        from fastdns.plugins.values import value_of
        from tests.serve._choosing import FactValue

        key = name.removeprefix("facts/")
        if key == "circle":
            value_of("facts/round", block, runtime)
        if key == "round":
            value_of("facts/circle", block, runtime)
        if key == name or (key != "client" and key not in config):
            return None
        self.made[block.index, name] = FactValue(None if key == "client" else config[key].encode())
        return self.made[block.index, name]


class Say(Plugin):
    """Which block it is."""

    name = "say"
    before = "whoami"

    def parse(self, tokens: Dispenser, context: BlockContext) -> tuple[str, str, int]:
        said = ("", "", 0)
        for _ in tokens.occurrences(once=True):
            tokens.next_arg()
            said = tokens.text, "", 0
            if len(rest := tokens.remaining_args()) == 2:
                said = said[0], to_value_name(tokens, rest[0]), int(rest[1])
        return said

    def step(self, config: tuple[str, str, int], block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.values import value_of
        from tests.serve._choosing import SayStep

        text, name, length = config
        return SayStep(text.encode(), value_of(name, block, runtime) if name else None, length)


class Ask(Plugin):
    """A question inside the query."""

    name = "ask"
    before = "forward"

    def parse(self, tokens: Dispenser, context: BlockContext) -> str:
        name = ""
        for _ in tokens.occurrences(once=True):
            name = one(tokens)
        return name

    def step(self, config: str, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from tests.serve._choosing import AskStep

        return AskStep(wire_name(config))


class Wait(Plugin):
    """Queries wait once."""

    name = "wait"
    before = "loop"

    def __init__(self) -> None:
        self.room: WaitingRoom | None = None

    def parse(self, tokens: Dispenser, context: BlockContext) -> bool:
        return all(tokens.occurrences(once=True)) or True

    def step(self, config: bool, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from tests.serve._choosing import WaitingRoom, WaitStep

        if self.room is None:
            self.room = WaitingRoom()
        return WaitStep(self.room)


choose = Choose()
gather = Gather()
facts = Facts()
say = Say()
ask = Ask()
wait = Wait()
