"""What the watcher follows of etcd: lists the keys once, then takes each change as it comes, into the zone store.

A listing is read in pages at one revision, and then replaces what is served. A watch goes on from that revision. If
its connection breaks off, the next endpoint is asked to go on from the last revision that was seen; only where etcd
has forgotten what came since (compaction), or is another cluster than before, are the keys listed again. While no
endpoint answers, what was read last is served.

A watch that is silent looks as one to which nothing happens. So etcd is asked now and then how many keys there
are, and whether any has changed since: what the watch does not say within a few seconds ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Mapping, Sequence

from fastdns.counted import counted
from fastdns.errors import SourceError, StoreFull
from fastdns.http.failover import follow_in_turn, together
from fastdns.memory._store import Writer
from fastdns.plugins.api import Recorder
from fastdns.plugins.etcd.client import (
    FAILURES,
    Client,
    EtcdError,
    Events,
    Header,
    KeyValue,
    Range,
    TimeToLive,
    TooLarge,
    coded,
    number,
    raw,
)
from fastdns.plugins.etcd.config import Config
from fastdns.plugins.etcd.keys import Keys
from fastdns.plugins.etcd.leases import MOST_A_SECOND, Leases
from fastdns.plugins.etcd.left_out import LeftOut
from fastdns.plugins.etcd.metrics import ERRORS, LISTINGS
from fastdns.plugins.etcd.services import TYPE_SERVICE, empty, key_id, record_of, with_expiry
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.rrsets.changes import Change
from fastdns.rrsets.publishing import SLICE_NS, publish

log = logging.getLogger("plugin/etcd")

ROOT = b"\0"
# Of one source. A record takes about 70 bytes beside name, host and text.
MAX_KEYS = 1_000_000
# etcd goes through the index of all keys for each page.
PAGE_KEYS = 5000
# Keys that are read before the event loop has its turn.
SLICE_KEYS = 200
# How often etcd is asked whether the watch has said all, and how long the watch has to say it then.
CHECK_EVERY_S = 10.0
THOROUGH_EVERY = 6
CHECK_GRACE_S = 2.0


class Compacted(EtcdError):
    """etcd no longer knows what came after a revision."""


class KeyChange(Change):
    """Changes of keys: of a name's records, those of other keys stay.

    records: by key id the new record; None: the key is gone.
    """

    def __init__(self) -> None:
        super().__init__(ROOT)
        self.records: dict[bytes, dict[bytes, bytes | None]] = {}

    def put(self, name: bytes, key: bytes, record: bytes | None) -> None:
        """Add one change; the last one of a key counts."""
        owner = name.lower()
        self.steps.setdefault(owner, [])
        self.records.setdefault(owner, {})[key_id(key)] = record

    def applied(self, owner: bytes, rrsets: Mapping[int, tuple[int, list[bytes]]]) -> list[tuple[int, int, bytes]]:
        """What the name has after the changes."""
        now: dict[bytes, bytes | None] = {rdata[:8]: rdata for rdata in rrsets.get(TYPE_SERVICE, (0, []))[1]}
        now.update({record[:8]: record for record in self.records[owner].values() if record is not None})
        for identity, record in self.records[owner].items():
            if record is None:
                now.pop(identity, None)
        return [(TYPE_SERVICE, 0, record) for record in now.values() if record is not None]


class ExpiryChange(KeyChange):
    """Leases end at other times. ends: by key id."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[bytes, int] = {}

    def put_end(self, name: bytes, key: bytes, expires_ns: int) -> None:
        """The record of a key has another end."""
        self.steps.setdefault(name.lower(), [])
        self.ends[key_id(key)] = expires_ns

    def applied(self, owner: bytes, rrsets: Mapping[int, tuple[int, list[bytes]]]) -> list[tuple[int, int, bytes]]:
        """What the name has after the changes."""
        return [
            (TYPE_SERVICE, 0, with_expiry(record, self.ends[record[:8]]) if record[:8] in self.ends else record)
            for record in rrsets.get(TYPE_SERVICE, (0, []))[1]
        ]


class EtcdSource:
    """One set of keys of one etcd. run ends with an exception only where the program has a mistake."""

    def __init__(self, number: int, config: Config, writer: Writer, recorder: Recorder) -> None:
        self.number = number
        self.config = config
        self.recorder = recorder
        self.zones = ZoneWriter(writer, number, max_names=MAX_KEYS, max_changes=0)
        self.keys = Keys.of(config.zones, config.path)
        self.left_out = LeftOut(recorder, config.path)
        self.leases = Leases(config.min_lease_ttl_s)
        # What was seen last; None: nothing, and the keys are to be listed.
        self.revision: int | None = None
        self.cluster_id = ""
        # Keys in the range, served or not.
        self.count = 0
        self.why_listed = "start"
        self.page_keys = PAGE_KEYS
        self.last_error = ""

    def restore(self) -> None:
        """What a predecessor has published is served until the keys are listed."""

    def tick(self) -> None:
        """A second has passed."""
        self.zones.settle(SLICE_NS)

    async def close(self) -> None:
        """Nothing stays open when run has ended."""

    async def run(self) -> None:
        """Follow one endpoint after the other."""
        await follow_in_turn(
            self.config.endpoints, self.follow, self.note_failure, (*FAILURES, StoreFull, SourceError)
        )

    def note_failure(self, endpoint: str, error: Exception) -> None:
        """An endpoint cannot be followed any more: say why, once while it stays so."""
        if isinstance(error, Compacted):
            self.list_again("compacted")
            return
        if isinstance(error, StoreFull | SourceError | TooLarge):
            # What is served may lack changes.
            self.list_again("failed")
        self.recorder.count(ERRORS, (endpoint,))
        text = f"{endpoint}: {error or type(error).__name__}"
        if text != self.last_error:
            self.last_error = text
            serving = "what was read last is served" if self.is_known else "nothing has been read yet"
            log.error("%s; %s", text, serving)

    @property
    def is_known(self) -> bool:
        """Whether anything is served."""
        return ROOT in self.zones.zones()

    def list_again(self, why: str) -> None:
        """The keys are to be listed anew."""
        self.revision = None
        self.why_listed = why

    async def follow(self, endpoint: str) -> None:
        """List, if need be, and watch, until something fails. Raises FAILURES, StoreFull, SourceError."""
        client = Client(self.config, endpoint)
        try:
            if self.revision is not None:
                await self.check_again(client)
            if self.revision is None:
                await self.list_keys(client)
            self.last_error = ""
            await together([self.watch(client), self.check(client), self.ask_leases(client)])
        finally:
            await client.close()

    # -------------------------------------------------------------------------------------------- listing

    async def list_keys(self, client: Client) -> None:
        """Read all keys at one revision, and serve them."""
        self.recorder.count(LISTINGS, (self.config.path, self.why_listed))
        draft = Draft(ROOT)
        start = self.keys.start
        first: Header | None = None
        revision = 0
        leased: dict[bytes, None] = {}
        count = 0
        while True:
            page = await self.page(client, start, first)
            if first is None:
                first = page.header
                revision = number(first.revision)
                count = number(page.count)
            if count > MAX_KEYS:
                raise SourceError(f"there are {count} keys below {self.config.path or '/'}; at most {MAX_KEYS}")
            for place, kv in enumerate(page.kvs, 1):
                if place % SLICE_KEYS == 0:
                    await asyncio.sleep(0)
                key = raw(kv.key)
                record = self.record_of(key, kv)
                if record is not None:
                    if number(kv.lease):
                        leased[key] = None
                    draft.add(record[0], TYPE_SERVICE, 0, record[1])
            if not page.more or not page.kvs:
                break
            start = raw(page.kvs[-1].key) + b"\0"
        self.leases.keep_only(leased)
        for name, _, why in draft.examples:
            self.left_out.note(name, "records", f"a name has too much: {why}")
        self.left_out.finish()
        changed = await publish(self.zones, draft)
        self.revision = revision
        self.cluster_id = first.cluster_id
        self.count = count
        self.note_change(changed)
        log.info("%s: %s below %s", client.session.url, counted(count, "key"), self.config.path or "/")

    async def page(self, client: Client, start: bytes, first: Header | None) -> Range:
        """The next keys, at the revision of the first page. Raises Compacted."""
        while True:
            # In the order of keys, as long as no order is asked for: for one, etcd would read all keys each time.
            request = {
                "key": coded(start), "range_end": coded(self.keys.end), "limit": str(self.page_keys),
                "revision": first.revision if first is not None else "0",
            }  # fmt: skip
            try:
                return await client.call("/v3/kv/range", request, Range)
            except TooLarge:
                if self.page_keys == 1:
                    raise
                self.page_keys = max(1, self.page_keys // 8)
            except EtcdError as error:
                if "compacted" in str(error):
                    raise Compacted(str(error)) from None
                raise

    def record_of(self, key: bytes, kv: KeyValue) -> tuple[bytes, bytes] | None:
        """Name and record of a key; None where it is no name of the zones."""
        try:
            name = self.keys.name_of(key)
        except ValueError as error:
            self.left_out.note(key, "name", f"{error}; the key is left out")
            return None
        if name is None:
            return None
        expires_ns = self.leases.assign(key, name, number(kv.lease))
        try:
            record = record_of(key, name, raw(kv.value), expires_ns)
        except ValueError as error:
            self.left_out.note(key, "value", f"{error}; the name has no data of this key")
            return name, empty(key, name)
        self.left_out.forget(key)
        return name, record

    def note_change(self, changed: object) -> None:
        """What was written is served. A change of anything is a new serial."""
        self.zones.writer.set_source(
            self.number, synced=True, soa_serial=int(time.time()) if changed or not self.count else None
        )

    # ------------------------------------------------------------------------------------------- watching

    async def watch(self, client: Client) -> None:
        """Take changes as they come. Raises FAILURES at its end."""
        assert self.revision is not None
        create = {
            "key": coded(self.keys.start), "range_end": coded(self.keys.end),
            "start_revision": str(self.revision + 1), "progress_notify": True,
        }  # fmt: skip
        async with contextlib.aclosing(client.watch({"create_request": create})) as messages:
            async for some in messages:
                self.take(some)

    def take(self, messages: Sequence[Events]) -> None:
        """Publish changes. Raises Compacted, EtcdError, StoreFull, SourceError."""
        change = KeyChange()
        revision = self.revision or 0
        count = self.count
        for message in messages:
            if message.canceled:
                if number(message.compact_revision):
                    raise Compacted("what came since the last revision is gone")
                raise EtcdError(f"it has ended a watch: {message.cancel_reason[:400]}")
            for event in message.events:
                key = raw(event.kv.key)
                if event.type == "DELETE":
                    count -= 1
                    self.forget(change, key)
                else:
                    count += event.kv.version == "1"
                    record = self.record_of(key, event.kv)
                    if record is not None:
                        change.put(record[0], key, record[1])
            if message.events or not message.created:
                revision = max(revision, number(message.header.revision))
        self.left_out.finish()
        if change.steps:
            changed, left_out = self.zones.apply(change)
            for why in left_out:
                log.warning("%s: a name has too much: %s", self.config.path or "/", why)
            self.note_change(changed)
        self.revision = revision
        self.count = count

    def forget(self, change: KeyChange, key: bytes) -> None:
        """A key is gone."""
        self.left_out.forget(key)
        self.leases.drop(key)
        try:
            name = self.keys.name_of(key)
        except ValueError:
            return
        if name is not None:
            change.put(name, key, None)

    async def changed_since(self, client: Client, *, thorough: bool) -> tuple[bool, Header]:
        """Whether etcd has what was not seen yet. thorough: values that have changed, too; etcd reads all keys."""
        assert self.revision is not None
        keys = {"key": coded(self.keys.start), "range_end": coded(self.keys.end)}
        counted = await client.call("/v3/kv/range", {**keys, "count_only": True}, Range)
        if number(counted.count) != self.count:
            return True, counted.header
        if not thorough or number(counted.header.revision) <= self.revision:
            return False, counted.header
        newer = {**keys, "limit": "1", "keys_only": True, "min_mod_revision": str(self.revision + 1)}
        return bool((await client.call("/v3/kv/range", newer, Range)).kvs), counted.header

    async def check(self, client: Client) -> None:
        """Look now and then whether the watch says all. Raises FAILURES."""
        for turn in itertools.count(1):
            await asyncio.sleep(CHECK_EVERY_S)
            thorough = turn % THOROUGH_EVERY == 0
            changed, _ = await self.changed_since(client, thorough=thorough)
            if changed:
                await asyncio.sleep(CHECK_GRACE_S)
                seen = self.revision
                changed, _ = await self.changed_since(client, thorough=thorough)
                if changed and seen == self.revision:
                    self.list_again("silent")
                    raise EtcdError("its watch does not say what has changed")

    async def check_again(self, client: Client) -> None:
        """Whether an endpoint goes on with what was seen elsewhere; else the keys are listed."""
        _, header = await self.changed_since(client, thorough=False)
        if header.cluster_id != self.cluster_id or number(header.revision) < (self.revision or 0):
            self.list_again("other cluster")

    # --------------------------------------------------------------------------------------------- leases

    async def ask_leases(self, client: Client) -> None:
        """Ask for the leases that are due, a bounded number a second. Raises FAILURES."""
        while True:
            change = ExpiryChange()
            began_s = time.monotonic()
            for lease_id in self.leases.take_due(MOST_A_SECOND // 10):
                request = {"ID": str(lease_id)}
                try:
                    said = await client.call("/v3/lease/timetolive", request, TimeToLive)
                except BaseException:
                    self.ask_later(lease_id)
                    raise
                for key, name in self.leases.learn(lease_id, number(said.TTL), number(said.grantedTTL)).items():
                    change.put_end(name, key, self.leases.leases[lease_id].expires_ns)
            if change.steps:
                self.zones.apply(change)
            await asyncio.sleep(max(0.01, 0.1 - (time.monotonic() - began_s)))

    def ask_later(self, lease_id: int) -> None:
        """A lease could not be asked for."""
        lease = self.leases.leases.get(lease_id)
        if lease is not None:
            self.leases.put_off(lease_id, lease, 1.0)
