"""tls: the certificate of the listeners that encrypt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.corefile.settings import Settings
from fastdns.errors import FastdnsError
from fastdns.plugins.api import Check, InSupervisor, Plugin, Runtime, SupervisorView
from fastdns.transports.table import UDP, Transport, of_scheme

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.plugins.tls.acme import Acme
    from fastdns.plugins.tls.config import Config
    from fastdns.plugins.tls.managing import Managing
    from fastdns.serve._zones import NativeStep


def transports_of(config: ServerConfig, block: ServerBlock) -> Iterator[Transport]:
    """By which transports a block is reached."""
    for listener in config.listeners:
        if any(index == block.index for _, index in listener.zones):
            yield from of_scheme(listener.transport)


def ordered(config: ServerConfig) -> list[Acme]:
    """What is obtained by ACME."""
    return [one.acme for _, one in config.with_plugin("tls") if one.acme is not None]


class TlsInSupervisor(InSupervisor):
    """Keeps certificates by ACME, and shows what became of handshakes."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor
        # From the first Corefile on that has acme.
        self.managing: Managing | None = None
        self.needed = asyncio.Event()

    async def prepare(self, config: ServerConfig) -> Any:
        from fastdns.metrics.handshakes import handshakes

        handshakes()
        if self.managing is None and ordered(config):
            from fastdns.plugins.tls.managing import Managing

            self.managing = Managing(self.supervisor.in_child)
        return None if self.managing is None else self.managing.challenges

    def serves(self, config: ServerConfig, prepared: Any) -> None:
        if self.managing is not None:
            self.managing.serves(ordered(config))
            self.needed.set()

    async def run(self) -> None:
        await self.needed.wait()
        if self.managing is not None:
            await self.managing.run()

    def families(self) -> Iterator[Metric]:
        from fastdns.metrics.handshakes import handshakes
        from fastdns.plugins.tls.metrics import families

        return families(handshakes(), self.managing)


def negotiated(config: ServerConfig, block: ServerBlock) -> set[tuple[str, ...]]:
    """What clients negotiate with TLS on the streams that a block is served on: ALPN of each transport."""
    found = {one.alpn for one in transports_of(config, block) if one.alpn}
    # Of others the files are read all the same.
    return found or {()}


class Tls(Plugin):
    """Files, which are read before anything changes and whenever they change."""

    name = "tls"
    # What a cache has heard while there was no challenge would hide it.
    in_all_before = "cache"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        # Only here: it imports ssl.
        from fastdns.plugins.tls.config import parse

        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(tls=config.files)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return TlsInSupervisor(supervisor)

    def check(self, check: Check) -> None:
        from fastdns.servertls import served

        known: list[Acme] = []
        for block, config in check.config.with_plugin(self.name):
            with check.of(self.name, block):
                if config.acme is not None:
                    check_acme(config.acme, known)
                    known.append(config.acme)
                for alpn in negotiated(check.config, block):
                    served(config.files, alpn)
                if any(transport.encrypted for transport in transports_of(check.config, block)):
                    from fastdns.transports.quic_tls import check as check_quic

                    check_quic(config.files)
                if config.files.keylog:
                    check.warnings.append(f'plugin/tls: Writing TLS Key Log to "{config.files.keylog}"')
        if known and all(listener.transport != UDP.scheme for listener in check.config.listeners):
            check.warnings.append(
                "plugin/tls: an authority looks for the ACME challenge over UDP and TCP, and no server block is "
                "served there: add one, such as .:53"
            )

    def step_of_all(self, config: ServerConfig, runtime: Runtime) -> NativeStep | None:
        challenges = runtime.prepared.get(self.name)
        if challenges is None or not ordered(config):
            return None
        from fastdns.plugins.tls._challenges import ChallengeStep

        return ChallengeStep(challenges)


def check_acme(acme: Acme, known: list[Acme]) -> None:
    """Look at what ACME needs. known: of the blocks before. Raises FastdnsError."""
    from importlib.util import find_spec

    from fastdns.plugins.tls.acme import conflict, trusting

    if find_spec("acme") is None:
        raise FastdnsError(
            "certificates by ACME need the package acme: pip install 'fastdns[acme]' (the image X.Y.Z-all has it)"
        )
    if domain := conflict(known, acme):
        raise FastdnsError(f"ACME domain {domain!r} is configured with conflicting options")
    trusting(acme.ca_root)


plugin = Tls()
