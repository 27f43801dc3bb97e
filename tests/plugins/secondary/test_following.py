"""Zones that are followed at scripted primaries, without processes: the last good zone serves on."""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from fastdns.corefile import load
from fastdns.corefile.context import Secondaries
from fastdns.dns.names import text_name, wire_name
from fastdns.memory._store import Store, Writer
from fastdns.plugins.secondary import asking, following, looking
from fastdns.plugins.secondary.config import Config
from fastdns.plugins.secondary.source import SecondarySource
from tests.plugins.secondary.primary import (
    AXFR,
    IXFR,
    Primary,
    Script,
    packed,
    reply,
    reset,
    says,
    soa_of,
    streams,
    trickles,
    whole,
)
from tests.rrsets import _reading
from tests.rrsets.oracle import NS, SOA, TXT, A, Content, absolute, soa, wire

pytestmark = pytest.mark.native

ZONE = absolute("zone.test.")
NUMBER = 6
PTR = 12


def version(serial: int, *, refresh_s: int = 3600, expire_s: int = 86400, names: int = 3) -> Content:
    numbers = struct.pack("!5I", serial, refresh_s, 1, expire_s, 60)
    return {
        (): {SOA: (60, [absolute("ns.test.") * 2 + numbers]), NS: (60, [absolute("ns.test.")])},
        **{(b"n%d" % n,): {A: (60, [struct.pack("!I", n * serial)])} for n in range(names)},
    }


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Waits are for conditions: the pauses between looks are short."""
    for name in ("REFRESH_JITTER_S", "RETRY_JITTER_S"):
        monkeypatch.setattr(following, name, 0.0)
    monkeypatch.setattr(following, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(following, "MOST_RETRY_S", 0.02)
    monkeypatch.setattr(following, "BETWEEN_LOOKS_S", 0.01)
    yield


class Following:
    """A source on the loop of the test, with its zones. One that is given a store takes it over."""

    def __init__(
        self, corefile: str, store: Store | None = None, secondaries: tuple[Secondaries, ...] = ()
    ) -> None:
        config = load(f".:5300 {{\n{corefile}\n}}", environ={}).blocks[0].plugins["secondary"]
        assert isinstance(config, Config)
        self.store = store or Store(64 << 20)
        self.counts: Counter[str] = Counter()
        config = Config(config.zones, config.fallthrough, secondaries)
        writer = Writer(self.store)
        self.source = SecondarySource(NUMBER, config, writer, lambda result: self.counts.update([result]))

    async def __aenter__(self) -> Following:
        self.source.restore()
        self.task = asyncio.get_running_loop().create_task(self.source.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.source.close()

    def serves(self, content: Content, zone: bytes = ZONE) -> bool:
        """Whether a zone has this content, whole."""
        names = _reading.names(self.store, NUMBER, zone) or []
        held = {name: _reading.rrsets(self.store, NUMBER, zone, name) for name in names}
        return held == {wire(labels): sets for labels, sets in content.items()}

    @property
    def zones(self) -> set[str]:
        return {text_name(name) for name in _reading.zones(self.store, NUMBER)}

    def tell(self, zone: bytes = ZONE, client: bytes = b"\x7f\0\0\1") -> None:
        """A NOTIFY comes."""
        self.source.take_notify(client, zone)


async def until(what: Callable[[], object]) -> None:
    """Fails after 10 s."""
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.002)


def corefile(*primaries: Primary, zones: str = "zone.test", more: str = "") -> str:
    hosts = " ".join(f"{host}:{port}" for host, port in (primary.at for primary in primaries))
    return f"secondary {zones} {{\ntransfer from {hosts}\n{more}\n}}"


async def test_a_zone_comes_and_changes() -> None:
    """All of it first, then differences; serials are asked for first."""
    async with Primary() as primary:
        primary.versions[ZONE] = [version(1)]
        async with Following(corefile(primary)) as here:
            assert here.zones == {"zone.test."}, "it is there, without records"
            assert here.serves({})
            await until(lambda: here.serves(version(1)))
            assert here.store.source(NUMBER)[0]
            assert primary.asked == [SOA, AXFR]
            primary.versions[ZONE].append(version(2, names=5))
            here.tell()
            await until(lambda: here.serves(version(2, names=5)))
            assert primary.asked == [SOA, AXFR, SOA, IXFR]
            here.tell()
            await until(lambda: here.counts["unchanged"] == 1)
            assert here.counts == {"transferred": 1, "changed": 1, "unchanged": 1}
            assert len(primary.asked) == 5


async def test_zones_that_other_servers_transfer_keep_their_history(caplog: pytest.LogCaptureFixture) -> None:
    async with Primary() as primary:
        primary.versions[ZONE] = [version(1)]
        async with Following(corefile(primary), secondaries=(Secondaries((".",), ()),)) as here:
            await until(lambda: here.serves(version(1)))
            primary.versions[ZONE].append(version(2))
            here.tell()
            await until(lambda: here.serves(version(2)))
            found = _reading.changes(here.store, NUMBER, ZONE, 1)
            assert found is not None
            assert found[0] == 2


async def test_only_primaries_are_heard() -> None:
    async with Primary() as primary:
        primary.versions[ZONE] = [version(1)]
        async with Following(corefile(primary)) as here:
            await until(lambda: here.serves(version(1)))
            here.tell(client=b"\x7f\0\0\2")
            here.tell(absolute("other.test."))
            assert not here.source.zones[ZONE].told.is_set()


async def test_primaries_are_asked_in_order(caplog: pytest.LogCaptureFixture) -> None:
    """The first that has a newer version gives it. What is wrong with one is said once."""
    async with Primary() as dead, Primary() as old, Primary() as new:
        dead.scripts[SOA] = reset
        old.versions[ZONE] = [version(1)]
        new.versions[ZONE] = [version(1), version(2)]
        async with Following(corefile(dead, old, new)) as here:
            await until(lambda: here.serves(version(1)))
            for _ in range(3):
                here.tell()
                seen = here.counts.total()
                await until(lambda: here.counts.total() > seen)  # noqa: B023
            assert here.serves(version(2))
            assert here.counts == {"transferred": 1, "changed": 1, "unchanged": 2}
    lines = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines == [
        f"Failed to transfer `zone.test.' from 127.0.0.1:{dead.at[1]}: "
        "the connection has ended before the transfer",
        f"127.0.0.1:{old.at[1]} has serial 1 of zone.test., which is not newer than 2: it is not transferred",
    ]


async def test_a_serial_that_goes_back_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """RFC 1982; it is said once."""
    async with Primary() as primary:
        primary.versions[ZONE] = [version(5)]
        async with Following(corefile(primary)) as here:
            await until(lambda: here.serves(version(5)))
            primary.versions[ZONE] = [version(4)]
            for number in range(3):
                here.tell()
                await until(lambda: here.counts["unchanged"] > number)  # noqa: B023
            assert here.serves(version(5))
    assert len([record for record in caplog.records if "serial 4 of zone.test." in record.message]) == 1


async def test_times_are_those_of_the_zone(caplog: pytest.LogCaptureFixture) -> None:
    """Refresh without NOTIFY; retry while no primary answers; SERVFAIL after the expire time; any version then."""
    async with Primary() as primary:
        primary.versions[ZONE] = [version(7, refresh_s=1, expire_s=2)]
        async with Following(corefile(primary)) as here:
            await until(lambda: here.counts["unchanged"])
            primary.rcode = 2
            begun = time.monotonic()
            await until(lambda: here.serves({}))
            assert time.monotonic() - begun > 1
            assert (here.counts["expired"], here.zones) == (1, {"zone.test."})
            assert here.counts["failed"] >= 2
            primary.rcode = 0
            primary.versions[ZONE] = [version(3)]
            here.tell()
            await until(lambda: here.serves(version(3)))
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"Failed to transfer `zone.test.' from 127.0.0.1:{primary.at[1]}: SOA: rcode is SERVFAIL",
        "Failed refresh check SOA: rcode is SERVFAIL",
        "Zone zone.test. is expired",
    ]


async def test_a_successor_transfers_nothing_that_is_there() -> None:
    """The watcher is replaced in a reload, or was killed: it asks for the serial, and takes differences."""
    async with Primary() as primary:
        primary.versions[ZONE] = [version(1)]
        async with Following(corefile(primary)) as here:
            await until(lambda: here.serves(version(1)))
        async with Following(corefile(primary), here.store) as successor:
            assert successor.serves(version(1)), "from the first moment"
            assert successor.store.source(NUMBER)[0]
            await until(lambda: successor.counts["unchanged"])
            primary.versions[ZONE].append(version(2))
            successor.tell()
            await until(lambda: successor.serves(version(2)))
        assert primary.asked == [SOA, AXFR, SOA, SOA, IXFR]


@pytest.mark.parametrize(("ago_s", "expires"), [(90, False), (110, True)])
async def test_a_successor_lets_a_zone_expire_in_time(ago_s: float, expires: bool) -> None:
    """It knows when its predecessor has had the last answer."""
    async with Primary() as primary:
        primary.versions[ZONE] = [version(1, expire_s=100)]
        async with Following(corefile(primary)) as here:
            await until(lambda: here.counts["transferred"])
            zone = here.source.zones[ZONE]
            await until(lambda: zone.answered)
            zone.answered -= ago_s
            zone.remember()
        primary.rcode = 2
        async with Following(corefile(primary), here.store) as successor:
            await until(lambda: successor.counts["failed"])
            await until(lambda: successor.serves({} if expires else version(1, expire_s=100)))
            assert successor.counts["expired"] == expires


async def test_differences_that_do_not_fit_are_followed_by_the_whole_zone() -> None:
    """A history that is another's, a primary that knows no IXFR, one that breaks off, one that says nothing."""
    async with Primary() as primary:
        primary.versions[ZONE] = [version(1)]

        def wrong(query: bytes) -> bytes:
            latest = primary.versions[ZONE][-1]
            return reply(query, map(packed, [soa_of(one, ZONE) for one in (latest, version(99), latest, latest)]))

        def misfit(query: bytes) -> bytes:
            old, new = primary.versions[ZONE][-2:]
            gone = (b"\4none" + ZONE, A, 60, b"\1\1\1\1")
            start, end = soa_of(old, ZONE), soa_of(new, ZONE)
            return reply(query, map(packed, [end, start, gone, end, end]))

        scripts: list[Script] = [
            says(wrong),
            says(misfit),
            says(lambda query: reply(query, [], flags=0x8404)),
            reset,
            says(),
        ]
        async with Following(corefile(primary)) as here:
            await until(lambda: here.serves(version(1)))
            for serial, script in enumerate(scripts, 2):
                primary.scripts[IXFR] = script
                primary.versions[ZONE].append(version(serial, names=serial))
                here.tell()
                await until(lambda: here.serves(version(serial, names=serial)))  # noqa: B023
            assert here.counts == {"transferred": 6}


async def test_a_zone_of_which_something_is_left_out_comes_whole() -> None:
    """Differences would not know what a record that is not there hides."""
    async with Primary() as primary:
        hidden: Content = {(b"c",): {5: (60, [absolute("a.test.")]), A: (60, [b"\1\1\1\1"])}}
        primary.versions[ZONE] = [version(1) | hidden]
        async with Following(corefile(primary)) as here:
            await until(lambda: here.counts["transferred"])
            primary.versions[ZONE].append(version(2) | {(b"c",): {A: (60, [b"\1\1\1\1"])}})
            here.tell()
            await until(lambda: here.counts["transferred"] == 2)
            assert here.serves(primary.versions[ZONE][-1])
        assert primary.asked == [SOA, AXFR, SOA, AXFR]


def endless(query: bytes, number: int) -> bytes:
    """One message after the other of a zone without an end."""
    start = [soa_of(version(9), ZONE)] if number == 0 else []
    hosts = [(b"\4%04d" % (n % 9999) + ZONE, A, 60, struct.pack("!I", number)) for n in range(500)]
    return reply(query, map(packed, [*start, *hosts]))


def half(query: bytes) -> bytes:
    return reply(query, map(packed, whole(version(9), ZONE)[:-1]))


async def stall(query: bytes, writer: asyncio.StreamWriter) -> None:
    """Nothing comes."""
    await asyncio.sleep(30)


HOSTILE: list[tuple[str, Script, str]] = [
    ("the zone without its end", says(half), "the connection has ended before the transfer"),
    ("half a message", says(lambda query: half(query)[:40]), "malformed|cut off"),
    ("another ID", says(lambda query: reply(query, [], number=int.from_bytes(query[:2], "big") + 1)), "another ID"),
    ("a reset", reset, "the connection has ended|connection reset"),
    ("no end", streams(endless), "over 3000 records"),
    ("messages without records", streams(lambda query, _: reply(query, [])), "no records"),
    ("nothing", stall, "timeout"),
    ("byte by byte", trickles(version(9, names=100), ZONE, 0.005), "timeout"),
    (
        "an SOA record in the middle",
        says(lambda query: reply(query, map(packed, [*whole(version(9), ZONE), *whole(version(10), ZONE)]))),
        "behind the last SOA",
    ),
]


@pytest.mark.parametrize(("script", "why"), [one[1:] for one in HOSTILE], ids=[one[0] for one in HOSTILE])
async def test_what_a_primary_does_wrong_leaves_what_is_served(
    script: Script, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of it is served; it is said once, and counted each time; then all goes on."""
    monkeypatch.setattr(asking, "MESSAGE_S", 0.1)
    monkeypatch.setattr(looking, "MAX_RRS", 3000)
    async with Primary() as primary:
        primary.versions[ZONE] = [version(1)]
        async with Following(corefile(primary)) as here:
            await until(lambda: here.serves(version(1)))
            primary.versions[ZONE] = [version(9)]
            primary.scripts = {IXFR: says(lambda query: reply(query, [], flags=0x8404)), AXFR: script}
            for number in range(2):
                here.tell()
                await until(lambda: here.counts["failed"] > number)  # noqa: B023
                assert here.serves(version(1))
            primary.scripts = {}
            here.tell()
            await until(lambda: here.serves(version(9)))
    said = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 1
    assert said[0].startswith(f"Failed to transfer `zone.test.' from 127.0.0.1:{primary.at[1]}: ")
    assert any(part in said[0] for part in why.split("|")), said


async def test_a_primary_that_stalls_holds_up_no_other_ones_zones() -> None:
    async with Primary() as stalling, Primary() as primary:
        stalling.scripts[SOA] = stall
        names = [f"z{number}.test" for number in range(12)]
        primary.versions[ZONE] = [version(1)]
        text = corefile(stalling, zones=" ".join(names)) + "\n" + corefile(primary)
        async with Following(text) as here:
            await until(lambda: here.serves(version(1)))
            assert not here.store.source(NUMBER)[0], "the others are not there"


async def test_a_full_store_leaves_what_is_served() -> None:
    async with Primary() as primary:
        primary.versions[ZONE] = [version(1)]
        async with Following(corefile(primary), Store(1 << 20)) as here:
            await until(lambda: here.serves(version(1)))
            large: Content = {(b"n%d" % n,): {TXT: (60, [b"\xff" + bytes(255)])} for n in range(5000)}
            primary.versions[ZONE] = [version(2) | large]
            here.tell()
            await until(lambda: here.counts["failed"])
            assert here.serves(version(1))


# Catalogs

CATALOG = absolute("cat.test.")


def catalog(serial: int, members: dict[str, str], owners: dict[str, str] | None = None) -> Content:
    """members: by id."""
    content: Content = {
        (): {SOA: (60, [soa(serial)]), NS: (60, [absolute("invalid.")])},
        (b"version",): {TXT: (60, [b"\0012"])},
    }
    for member, zone in members.items():
        content[member.encode(), b"zones"] = {PTR: (60, [wire_name(zone)])}
    for member, owner in (owners or {}).items():
        content[b"coo", member.encode(), b"zones"] = {PTR: (60, [wire_name(owner)])}
    return content


def members(primary: Primary, *names: str) -> None:
    for name in names:
        primary.versions[wire_name(name)] = [version(1)]


async def test_members_come_and_go() -> None:
    """Only the allowed ones; one with another id begins anew; a successor knows them."""
    async with Primary() as primary:
        members(primary, "a.test", "b.test", "c.net")
        primary.versions[CATALOG] = [catalog(1, {"1": "a.test", "2": "c.net"})]
        text = corefile(primary, zones="cat.test", more="catalog test")
        async with Following(text) as here:
            await until(lambda: here.serves(version(1), absolute("a.test.")))
            assert here.zones == {"cat.test.", "a.test."}
            primary.versions[CATALOG].append(catalog(2, {"1": "a.test", "3": "b.test"}))
            here.tell(CATALOG)
            await until(lambda: here.serves(version(1), absolute("b.test.")))
            asked = len(primary.asked)
        async with Following(text, here.store) as successor:
            assert successor.zones == {"cat.test.", "a.test.", "b.test."}
            await until(lambda: successor.counts["unchanged"] == 3)
            assert primary.asked[asked:] == [SOA] * 3
            primary.versions[CATALOG].append(catalog(3, {"4": "a.test"}))
            successor.tell(CATALOG)
            await until(lambda: successor.zones == {"cat.test.", "a.test."})
            await until(lambda: successor.serves(version(1), absolute("a.test.")))
            assert successor.counts["transferred"] == 2, "the catalog, and the member whose id has changed"


@pytest.mark.parametrize("first", ["old", "new"])
async def test_a_member_changes_its_catalog(first: str) -> None:
    """RFC 9432 section 4.4.1, whichever of both catalogs changes first; nothing is transferred anew."""
    other = absolute("new.test.")
    async with Primary() as primary:
        members(primary, "a.test")
        primary.versions[CATALOG] = [catalog(1, {"1": "a.test"})]
        primary.versions[other] = [catalog(1, {})]
        text = corefile(primary, zones="cat.test new.test", more="catalog")
        async with Following(text) as here:
            await until(lambda: here.serves(version(1), absolute("a.test.")))
            await until(lambda: here.counts["transferred"] == 3)
            changes = [
                (CATALOG, catalog(2, {"1": "a.test"}, {"1": "new.test"})),
                (other, catalog(2, {"1": "a.test"})),
            ]
            for zone, content in changes if first == "old" else reversed(changes):
                primary.versions[zone].append(content)
                here.tell(zone)
                serial = here.source.zones[zone].serial
                await until(lambda: here.source.zones[zone].serial != serial)  # noqa: B023
            await until(lambda: here.source.zones[absolute("a.test.")].catalog == other)
            primary.versions[CATALOG].append(catalog(3, {}))
            here.tell(CATALOG)
            await until(lambda: here.source.zones[CATALOG].serial == 3)
            assert here.serves(version(1), absolute("a.test."))
            assert here.counts["transferred"] == 6


async def test_no_catalog_takes_the_zones_of_another() -> None:
    """Nor those of the Corefile."""
    other = absolute("new.test.")
    async with Primary() as primary:
        members(primary, "a.test", "zone.test")
        primary.versions[CATALOG] = [catalog(1, {"1": "a.test", "2": "zone.test"})]
        primary.versions[other] = [catalog(1, {})]
        text = corefile(primary, zones="cat.test new.test", more="catalog") + "\n" + corefile(primary)
        async with Following(text) as here:
            await until(lambda: here.serves(version(1), absolute("a.test.")))
            primary.versions[other].append(catalog(2, {"1": "a.test"}))
            here.tell(other)
            await until(lambda: here.source.zones[other].serial == 2)
            assert here.source.zones[absolute("a.test.")].catalog == CATALOG
            assert here.source.zones[ZONE].catalog == b""


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (catalog(2, {}) | {(b"version",): {TXT: (60, [b"\0011"])}}, "unsupported version '1'"),
        (catalog(2, {}) | {(b"version",): {TXT: (60, [b"\0012", b"\0013"])}}, "exactly one version TXT record"),
        (catalog(2, {}) | {(): {SOA: (60, [soa(2)])}}, "no NS record"),
        (catalog(2, {"1": "a.test", "2": "a.test"}), "lists a zone twice"),
        (
            catalog(2, {}) | {(b"1", b"zones"): {PTR: (60, [absolute("a.test."), absolute("b.test.")])}},
            "must have exactly one PTR record",
        ),
    ],
)
async def test_what_is_no_catalog_changes_nothing(
    content: Content, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Primary() as primary:
        members(primary, "a.test")
        primary.versions[CATALOG] = [catalog(1, {"1": "a.test"})]
        async with Following(corefile(primary, zones="cat.test", more="catalog")) as here:
            await until(lambda: here.serves(version(1), absolute("a.test.")))
            primary.versions[CATALOG].append(content)
            here.tell(CATALOG)
            await until(lambda: here.counts["failed"])
            assert here.serves(catalog(1, {"1": "a.test"}), CATALOG)
            assert here.zones == {"cat.test.", "a.test."}
    assert why in caplog.text


