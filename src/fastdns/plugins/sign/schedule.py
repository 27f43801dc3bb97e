"""Has zones signed when they are due: one after the other, each in a child of the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdns.corefile.mistakes import said_of
from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.plugins.api import InSupervisor, SupervisorView
from fastdns.plugins.sign.child import Done, check_keys, look_at, sign
from fastdns.plugins.sign.config import Zone
from fastdns.plugins.sign.times import written

if TYPE_CHECKING:
    from prometheus_client.core import Metric

log = logging.getLogger("plugin/sign")

LOOK_S = 5 * 3600.0
# After a failure, and twice as long after each further one.
RETRY_S = 60.0
# A start or reload waits so long for zones that were never signed.
START_S = 10.0
# A look, and reading keys; and signing one zone, on a host that is busy.
CHILD_S = 60.0
SIGN_S = 3600.0


def zones_of(config: ServerConfig) -> list[Zone]:
    """The zones of a configuration. Of those that are written to the same file the last one counts."""
    return list({zone.signed_file: zone for _, own in config.with_plugin("sign") for zone in own.zones}.values())


class Signing(InSupervisor):
    """What the supervisor does for zones that are to be signed.

    signed: how often each zone was; failed: was not. expirations: of the signatures of each, Unix time.
    """

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor
        self.signed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.expirations: dict[str, int] = {}
        self.due = asyncio.Event()
        # Zones are signed one after the other, whoever asks for it.
        self.lock = asyncio.Lock()
        # What a start or a reload has begun, and the files that it is to make.
        self.begun: set[asyncio.Task[bool]] = set()
        self.missing: set[str] = set()
        # By file: what went wrong last.
        self.complaints: dict[str, str] = {}

    async def prepare(self, config: ServerConfig) -> None:
        """See whether the keys can be used, and sign zones that there are not yet. Raises FastdnsError."""
        for block, own in config.with_plugin("sign"):
            wrong = await self.in_child("keys of sign", partial(check_keys, own.zones), CHILD_S)
            if wrong:
                with said_of("sign", block):
                    raise FastdnsError(wrong)
        missing = [zone for zone in zones_of(config) if not Path(zone.signed_file).exists()]
        self.missing = {zone.signed_file for zone in missing}
        if missing:
            # A large zone does not hold up all others.
            task = asyncio.get_running_loop().create_task(self.sign_due(missing))
            self.begun.add(task)
            task.add_done_callback(self.begun.discard)
            await asyncio.wait({task}, timeout=START_S)

    def serves(self, config: ServerConfig, prepared: Any) -> None:
        self.due.set()

    async def run(self) -> None:
        wait_s = retry_s = RETRY_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.due.wait()
            is_new = self.due.is_set()
            self.due.clear()
            if await self.sign_due(zones_of(self.supervisor.config), say_valid=is_new):
                wait_s, retry_s = LOOK_S, RETRY_S
            else:
                wait_s, retry_s = retry_s, min(2 * retry_s, LOOK_S)

    async def in_child(self, title: str, call: Callable[[], Any], limit_s: float) -> Any:
        """What call returns, through JSON, in a child. Raises FastdnsError."""
        result = await self.supervisor.in_child(
            title, lambda: json.dumps(call()).encode(), limit_s=limit_s, needed=True
        )
        return json.loads(result)

    async def sign_due(self, zones: Sequence[Zone], *, say_valid: bool = False) -> bool:
        """Sign those of some zones that are due. Returns whether all could be. say_valid: say which are not due."""
        async with self.lock:
            try:
                found = await self.in_child("look at signed zones", partial(look_at, zones), CHILD_S)
            except FastdnsError as error:
                log.warning("%s", error)
                return False
            good = True
            for zone, (why, self.expirations[zone.name]) in zip(zones, found, strict=True):
                if why:
                    good &= await self.sign(zone, why)
                elif say_valid and zone.signed_file not in self.missing:
                    log.info(
                        'Skipping signing zone "%s" in "%s": signatures are valid', zone.name, zone.signed_file
                    )
            return good

    async def sign(self, zone: Zone, why: str) -> bool:
        """Sign a zone, and say what became of it. Returns whether it is signed."""
        again = zone.signed_file in self.complaints
        if not again:
            log.info('Signing "%s" because %s', zone.name, why)
        try:
            done = Done(**await self.in_child(f"sign {zone.name}", partial(sign, zone), SIGN_S))
        except FastdnsError as error:
            done = Done(error=str(error))
        tags = ",".join(map(str, done.tags))
        if done.error:
            self.failed[zone.name] += 1
            if self.complaints.get(zone.signed_file) != done.error:
                self.complaints[zone.signed_file] = done.error
                if done.is_written:
                    log.warning('Error signing "%s" with key tags "%s": %s', zone.name, tags, done.error)
                else:
                    log.warning(
                        'Error signing "%s": failed to move zone file into place: %s', zone.name, done.error
                    )
            return False
        self.complaints.pop(zone.signed_file, None)
        self.signed[zone.name] += 1
        self.expirations[zone.name] = done.expiration_s
        for line in done.said:
            log.warning("%s; it is left out", line)
        if done.left_out > len(done.said):
            log.warning("%s: %d more records are left out", zone.file, done.left_out - len(done.said))
        log.info(
            'Successfully signed zone "%s" in "%s" with key tags "%s" and %d SOA serial, elapsed %f, next: %s',
            zone.name, zone.signed_file, tags, done.serial, done.elapsed_s, written(time.time() + LOOK_S),
        )  # fmt: skip
        return True

    def families(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        runs = CounterMetricFamily(
            "fastdns_sign_runs", "Number of times that a zone was due, by result.", labels=("zone", "result")
        )
        expirations = GaugeMetricFamily(
            "fastdns_sign_expiration_timestamp_seconds",
            "When the first signature of a zone's SOA record expires; 0: it has none.",
            labels=("zone",),
        )
        for name in dict.fromkeys(zone.name for zone in zones_of(self.supervisor.config)):
            runs.add_metric((name, "signed"), self.signed[name])
            runs.add_metric((name, "failed"), self.failed[name])
            expirations.add_metric((name,), self.expirations.get(name, 0))
        yield runs
        yield expirations
