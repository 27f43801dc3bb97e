"""Snapshots: what is written is what is served after a start, and what is wrong with a file is one clear line."""

from __future__ import annotations

import hashlib
import os
import random
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.errors import SourceError, StoreFull
from fastdns.memory._store import Store, Writer
from fastdns.plugins.kubernetes.snapshot._copy import Copy
from fastdns.plugins.kubernetes.snapshot._restore import restore
from fastdns.plugins.kubernetes.snapshot.file import (
    DIGEST_BYTES,
    HEADER,
    TRAILER,
    VERSION,
    Head,
    read_snapshot,
    write_snapshot,
)
from tests.plugins.kubernetes.support import NOW, Block, Cluster, Options, summary
from tests.plugins.kubernetes.test_property import Model, changes, check, objects, options

pytestmark = pytest.mark.native

OBJECTS = """\
kind: Namespace
metadata: {name: shop}
---
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, "fd00:96::1"], ports: [{name: http, port: 80, protocol: TCP}]}
---
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: sql, port: 5432, protocol: TCP}]}
---
kind: Service
metadata: {name: out, namespace: shop}
spec: {type: ExternalName, externalName: db.shop.svc.cluster.local}
---
kind: EndpointSlice
metadata: {name: db-1, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints:
- {addresses: [10.244.0.1], hostname: one, zone: z1}
- {addresses: [10.244.0.2], zone: z2}
ports: [{name: sql, port: 5432, protocol: TCP}]
---
kind: Pod
metadata: {name: p, namespace: shop}
status: {phase: Running, podIP: 10.244.0.9}
"""
OPTIONS = Options(pods="verified", zonal=True, zones=("cluster.local.", "in-addr.arpa."))
OF = b"f" * 16


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def head(as_of: int = NOW, id_seed: int = 7) -> Head:
    return Head(OF, as_of, id_seed, (NOW, 0), "uid-1")


def body(store: Store, source: int = 0) -> bytes:
    copy = Copy(store, source)
    parts = []
    while part := copy.chunk():
        parts.append(part)
    assert part is not None
    return b"".join(parts)


def restarted(cluster: Cluster, chosen: Options, source: int = 4, max_bytes: int = 4 << 20) -> Cluster:
    """A server that has started with the snapshot of another and has listed nothing."""
    seed = cluster.block.writer.records.id_seed
    fresh = Cluster(chosen, [], max_bytes=max_bytes, source=source)
    writer = Writer(Store(max_bytes))
    # The cluster's own listing of nothing must not count.
    fresh.store, fresh.store_writer = writer.store, writer
    fresh.block = Block(writer, chosen, source)
    fresh.worker = type(fresh.worker)(
        type(fresh.table)([(zone, 0, None) for zone in chosen.zones], [[fresh.block.step]]), writer.store, 0
    )
    restore(fresh.block.writer.records, body(cluster.store), seed)
    for offset in (0, 1):
        writer.set_source(source + offset, soa_serial=NOW)
    return fresh


# ------------------------------------------------------------------------------------------- round trips


@settings(max_examples=60, deadline=None)
@given(options, st.lists(objects, max_size=15), st.lists(changes, max_size=8), st.integers(0, 2**32))
def test_what_is_restored_answers_as_before(chosen, start, sequence, seed):
    """In another store, under another number, with another seed; and the first listing then changes nothing."""
    rng = random.Random(seed)
    model = Model(chosen, start)
    for what, value in sequence:
        model.change(what, value)
    model.settle()
    before = body(model.cluster.store)
    model.cluster = restarted(model.cluster, chosen)
    assert sorted_records(body(model.cluster.store, 4)) == sorted_records(before)
    model.cluster.store_writer.set_source(4, synced=True)
    check(model, rng, 25)
    changes_before = model.cluster.store.source(4)[2]
    model.learn_pods()
    known = len(model.api) - sum(kind == "Pod" for kind, _, _ in model.api)
    model.cluster.block.list_all(model.api.values())
    check(model, rng, 10)
    if known == len(model.api):
        assert model.cluster.store.source(4)[2] == changes_before
    # What happens next is a difference like any other.
    for what, value in sequence:
        if what in ("upsert", "delete"):
            model.change(what, value)
    check(model, rng, 10)


def sorted_records(data: bytes) -> list[bytes]:
    """The records of a body, in an order that does not depend on the store's seed."""
    found, at = [], 0
    while at < len(data):
        key_len, payload_len = struct.unpack_from("=II", data, at)
        size = (8 + key_len + 7) // 8 * 8 + (payload_len + 7) // 8 * 8
        found.append(data[at : at + size])
        at += size
    return sorted(found)


def test_unknown_names_are_not_denied_before_the_listing():
    cluster = restarted(Cluster(OPTIONS, OBJECTS), OPTIONS)
    assert summary(cluster.ask("web.shop.svc.cluster.local.", "A"))["answer"]
    assert summary(cluster.ask("1.0.244.10.in-addr.arpa.", "PTR"))["answer"]
    assert summary(cluster.ask("1.0.96.10.in-addr.arpa.", "PTR"))["answer"]
    assert summary(cluster.ask("10-244-0-9.shop.pod.cluster.local.", "A"))["answer"]
    assert summary(cluster.ask("web.shop.svc.cluster.local.", "TXT"))["rcode"] == "NOERROR"
    for name in ("new.shop.svc", "web.other.svc", "10-244-0-8.shop.pod"):
        assert summary(cluster.ask(f"{name}.cluster.local.", "A"))["rcode"] == "SERVFAIL"
    cluster.block.list_all(cluster.documents)
    assert summary(cluster.ask("web.shop.svc.cluster.local.", "A"))["rcode"] == "NXDOMAIN"
    assert summary(cluster.ask("10-244-0-9.shop.pod.cluster.local.", "A"))["rcode"] == "NXDOMAIN"
    assert not cluster.store.items(b"\0\4")


def test_records_larger_than_a_chunk():
    endpoints = "\n".join(f"- {{addresses: [10.1.{n >> 8}.{n & 255}], hostname: h{n}}}" for n in range(3000))
    service = "kind: Service\nmetadata: {name: s, namespace: a}\nspec: {clusterIP: None, clusterIPs: [None]}\n"
    objects_ = service + "".join(
        f"---\nkind: EndpointSlice\nmetadata: {{name: s-{part}, namespace: a, labels: "
        f"{{kubernetes.io/service-name: s}}}}\naddressType: IPv4\nendpoints:\n{endpoints}\n"
        for part in range(8)
    )
    cluster = Cluster(OPTIONS, objects_)
    data = body(cluster.store)
    assert len(data) > 1 << 18
    assert sorted_records(body(restarted(cluster, OPTIONS, max_bytes=16 << 20).store, 4)) == sorted_records(data)


def test_a_copy_beside_a_writer_that_goes_on(tmp_path: Path):
    """Every record that stands throughout is in every copy, whole, whatever else changes and however often."""
    store = Store(8 << 20)
    writer = Writer(store)
    standing = {b"\0\0N\2" + b"%02d" % n for n in range(50)}
    for key in standing:
        writer.publish(key, b"")
    stop = threading.Event()
    copies: list[Path] = []

    def copy() -> None:
        while not stop.is_set():
            copies.append(tmp_path / f"copy{len(copies)}")
            try:
                write_snapshot(str(copies[-1]), head(), store, 0)
            except OSError as error:
                assert "has grown" in str(error)
                copies.pop()

    thread = threading.Thread(target=copy)
    thread.start()
    rng = random.Random(1)
    while len(copies) < 20:
        for _ in range(200):
            key = b"\0\0N\5" + b"%05d" % rng.randrange(20000)
            if rng.random() < 0.5:
                writer.publish(key, b"")
            else:
                writer.remove(key)
        writer.reclaim()
    stop.set()
    thread.join()
    for path in copies:
        _, data = read_snapshot(str(path), OF, 10, 1 << 24, now=NOW) or pytest.fail("no file")
        keys = {record[8 : 8 + record[0]] for record in sorted_records(data)}
        assert {key[2:] for key in standing} <= keys
        restore(Cluster(OPTIONS, []).block.writer.records, data, 7)


def test_a_dead_predecessor_that_was_copying_holds_no_memory():
    store = Store(1 << 20)
    writer = Writer(store)
    writer.publish(b"\0\0N\1a", b"")
    # Its slot is as the last chunk left it, and a successor clears it in any case.
    body(store)
    Writer(store).publish(b"\0\0N\1a", b"")
    successor = Writer(store)
    successor.publish(b"\0\0N\1a", b"")
    assert successor.reclaim() == 0


# ----------------------------------------------------------------------------------------------- refusals


@pytest.fixture
def good(tmp_path: Path) -> Path:
    cluster = Cluster(OPTIONS, OBJECTS)
    write_snapshot(str(tmp_path / "good"), head(id_seed=cluster.block.writer.records.id_seed), cluster.store, 0)
    return tmp_path / "good"


def test_a_good_file(good: Path):
    found, data = read_snapshot(str(good), OF, 60, 1 << 20, now=NOW + 60) or pytest.fail("no file")
    assert (found.as_of, found.serials, found.uid) == (NOW, (NOW, 0), "uid-1")
    assert good.stat().st_mode & 0o777 == 0o600
    assert restore(Cluster(OPTIONS, []).block.writer.records, data, found.id_seed) == (3, 0)
    assert names(good.parent) == ["good"]


def sealed(data: bytes) -> bytes:
    """With the checksum that fits."""
    return data[:-DIGEST_BYTES] + hashlib.blake2b(data[:-DIGEST_BYTES], digest_size=DIGEST_BYTES).digest()


DAMAGES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("empty", lambda data: b"", "is no snapshot"),
    ("of something else", lambda data: b"%PDF-1.7 and so on", "is no snapshot"),
    ("only the magic", lambda data: data[:8], "is no snapshot"),
    ("only the header", lambda data: data[: HEADER.size], "is cut off after"),
    ("half", lambda data: data[: len(data) // 2], "is damaged or cut off"),
    ("without its last byte", lambda data: data[:-1], "is damaged or cut off"),
    ("with a byte more", lambda data: data + b"\0", "is damaged or cut off"),
    ("twice", lambda data: data + data, "not those that it says|damaged"),
    ("zeros at the end", lambda data: data[:-64] + bytes(64), "is damaged or cut off"),
    ("of the version before", lambda data: data[:8] + struct.pack("=I", VERSION - 1) + data[12:], "of version 2;"),
    ("of the next version", lambda data: data[:8] + struct.pack("=I", VERSION + 1) + data[12:], "of version 4;"),
    ("of another byte order", lambda data: data[:8] + struct.pack(">I", VERSION) + data[12:], "of version"),
    ("of another cluster", lambda data: sealed(data[:16] + b"g" * 16 + data[32:]), "of another cluster, or was"),
    ("longer than it says", lambda data: sealed(data[: HEADER.size] + bytes(8) + data[HEADER.size :]), "not those"),
]


@pytest.mark.parametrize(("damage", "says"), [case[1:] for case in DAMAGES], ids=[case[0] for case in DAMAGES])
def test_a_file_that_is_refused(good: Path, damage: Callable[[bytes], bytes], says: str):
    good.write_bytes(damage(good.read_bytes()))
    with pytest.raises(SourceError, match=says) as caught:
        read_snapshot(str(good), OF, 60, 1 << 20, now=NOW)
    assert str(caught.value).startswith(str(good))
    assert "\n" not in str(caught.value)


def test_every_flipped_bit_is_noticed(good: Path):
    data = good.read_bytes()
    rng = random.Random(2)
    for at in {*range(HEADER.size), *rng.sample(range(len(data)), 300)}:
        flipped = bytearray(data)
        flipped[at] ^= 1 << rng.randrange(8)
        good.write_bytes(flipped)
        with pytest.raises(SourceError):
            read_snapshot(str(good), OF, 60, 1 << 20, now=NOW)


@pytest.mark.parametrize(
    ("age_s", "says"),
    [(60, ""), (61, "is 61 s old; at most 60 s are allowed"), (-60, ""), (-61, "is from 61 s in the future")],
)
def test_its_age(good: Path, age_s: int, says: str):
    if not says:
        assert read_snapshot(str(good), OF, 60, 1 << 20, now=NOW + age_s)
        return
    with pytest.raises(SourceError, match=says):
        read_snapshot(str(good), OF, 60, 1 << 20, now=NOW + age_s)


def test_what_is_no_file(tmp_path: Path):
    assert read_snapshot(str(tmp_path / "none"), OF, 60, 1 << 20) is None
    for make, says in (
        (lambda path: path.mkdir(), "is not a regular file"),
        (lambda path: os.mkfifo(path), "is not a regular file"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
        (lambda path: path.write_bytes(bytes(1 << 20 | 1)), "has 1048577 bytes; the zone store takes 1048576"),
    ):
        path = tmp_path / f"{len(names(tmp_path))}"
        make(path)
        with pytest.raises(SourceError, match=says):
            read_snapshot(str(path), OF, 60, 1 << 20)
    with pytest.raises(SourceError, match="cannot be read: Not a directory"):
        read_snapshot(str(path / "below"), OF, 60, 1 << 20)


def test_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch):
    def denied(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(SourceError, match="/x cannot be read: Permission denied"):
        read_snapshot("/x", OF, 60, 1 << 20)


def test_a_snapshot_that_the_store_has_no_room_for(good: Path):
    _, data = read_snapshot(str(good), OF, 60, 1 << 20, now=NOW) or pytest.fail("no file")
    cluster = Cluster(OPTIONS, [], max_bytes=1 << 20)
    filler = 0
    size = 1 << 19
    while size >= 64:
        try:
            cluster.store_writer.publish(b"\xff%d" % filler, bytes(size))
            filler += 1
        except StoreFull:
            size //= 2
    with pytest.raises(StoreFull):
        restore(cluster.block.writer.records, data * 50, 7)
    assert not cluster.store.items(b"\0\0")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_records_that_are_not_right_are_refused_or_harmless(data):
    """With a checksum that fits, as of a broken writer: nothing that is taken can lead a reader astray."""
    good = body(Cluster(OPTIONS, OBJECTS).store)
    bent = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(bent) - 1))
        bent[at] = data.draw(st.sampled_from([0, 1, 2, 3, 8, 16, 63, 64, 127, 128, 255, bent[at] ^ 1]))
    if data.draw(st.booleans()):
        bent = bent[: data.draw(st.integers(0, len(bent)))]
    cluster = Cluster(OPTIONS, [])
    try:
        restore(cluster.block.writer.records, bytes(bent), 7)
    except SourceError as error:
        assert "record at byte" in str(error)
        assert not cluster.store.items(b"\0\0")
        return
    for name, kind in (
        ("web.shop.svc.cluster.local.", "A"),
        ("web.shop.svc.cluster.local.", "SRV"),
        ("db.shop.svc.cluster.local.", "A"),
        ("db.shop.svc.cluster.local.", "SRV"),
        ("one.db.shop.svc.cluster.local.", "A"),
        ("z1.pin._zone.db.shop.svc.cluster.local.", "A"),
        ("_sql._tcp.db.shop.svc.cluster.local.", "SRV"),
        ("out.shop.svc.cluster.local.", "CNAME"),
        ("1.0.244.10.in-addr.arpa.", "PTR"),
        ("10-244-0-9.shop.pod.cluster.local.", "A"),
    ):
        query = struct.pack("!6H", 1, 0, 1, 0, 0, 0) + wire_question(name, kind)
        assert cluster.ask_bytes(query, tcp=True) is not None
    cluster.block.list_all(cluster.documents)
    assert not cluster.store.items(b"\0\0")


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        # Nothing that is listed would take its addresses away again.
        (b"\3web\4shop", 0),
        # Nor its ports.
        (b"\2db\4shop", 0),
        (b"\3out\4shop", 0),
        (b"\3web\4shop", 4),
    ],
)
def test_a_service_of_a_type_that_it_cannot_be(record: bytes, kind: int):
    data = bytearray(body(Cluster(OPTIONS, OBJECTS).store))
    payload_at = service_at(data, record)
    assert data[payload_at] in (1, 2, 3)
    data[payload_at] = kind
    cluster = Cluster(OPTIONS, [])
    # It costs the others nothing: a snapshot of thousands was refused for one.
    assert restore(cluster.block.writer.records, bytes(data), 7) == (2, 1)
    kept = {key for key, _ in cluster.store.items(b"\0\0S")}
    assert kept == {key for key, _ in Cluster(OPTIONS, OBJECTS).store.items(b"\0\0S")} - {b"\0\0S" + record}


def service_at(data: bytes | bytearray, labels: bytes) -> int:
    """Where a Service's payload stands, by its labels."""
    record_at = data.index(b"S" + labels) - 8
    (key_len,) = struct.unpack_from("=I", data, record_at)
    return record_at + (8 + key_len + 7) // 8 * 8


def wire_question(name: str, kind: str) -> bytes:
    labels = b"".join(bytes((len(part),)) + part.encode() for part in name.rstrip(".").split("."))
    return labels + b"\0" + struct.pack("!HH", {"A": 1, "CNAME": 5, "PTR": 12, "SRV": 33}[kind], 1)


# --------------------------------------------------------------------------------------------------- format


def test_the_layout_is_that_of_the_version():
    """A record's bytes as they are in files of this VERSION. Whoever changes them raises it."""
    cluster = Cluster(OPTIONS, OBJECTS)
    data = b"".join(sorted_records(body(cluster.store)))
    seed = cluster.block.writer.records.id_seed
    # The ids of slices and pods are the only thing that is another one each time.
    ids = {cluster_id(data, seed, "db-1"), pod_id(cluster)}
    for number in ids:
        data = data.replace(number, b"\xaa" * 8)
    assert VERSION == 3
    assert hashlib.sha256(data).hexdigest()[:16] == LAYOUT_OF_VERSION_3, hashlib.sha256(data).hexdigest()[:16]


LAYOUT_OF_VERSION_3 = "fc14e966352842a1"


def cluster_id(data: bytes, seed: int, name: str) -> bytes:
    """The id of the only slice: in the section of db."""
    payload_at = service_at(data, b"\2db\4shop")
    (sections_at,) = struct.unpack_from("=I", data, payload_at + 16)
    return data[payload_at + sections_at + 8 : payload_at + sections_at + 16]


def pod_id(cluster: Cluster) -> bytes:
    """The hash of the only pod's name."""
    ((_, payload),) = cluster.store.items(b"\0\0P")
    return payload[-8:]


# -------------------------------------------------------------------------------------------------- writing


def test_a_write_that_fails_leaves_the_old_file(good: Path, monkeypatch: pytest.MonkeyPatch):
    before = good.read_bytes()
    cluster = Cluster(OPTIONS, OBJECTS)

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        write_snapshot(str(good), head(), cluster.store, 0)
    monkeypatch.undo()
    assert good.read_bytes() == before
    assert names(good.parent) == ["good"]


def test_what_a_dead_writer_left_is_no_hindrance(good: Path):
    Path(f"{good}.new").write_bytes(b"half of a snapsh")
    write_snapshot(str(good), head(), Cluster(OPTIONS, OBJECTS).store, 0)
    assert read_snapshot(str(good), OF, 60, 1 << 20, now=NOW)
    assert names(good.parent) == ["good"]


def test_a_store_that_grows_all_the_time_is_not_copied_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Growing(Copy):
        def chunk(self) -> bytes | None:
            return None

    monkeypatch.setattr("fastdns.plugins.kubernetes.snapshot.file.Copy", Growing)
    with pytest.raises(OSError, match="has grown 5 times"):
        write_snapshot(str(tmp_path / "file"), head(), Store(1 << 20), 0)
    assert not names(tmp_path)


def test_the_trailer_counts(good: Path):
    data = good.read_bytes()
    records, size, _ = TRAILER.unpack(data[-TRAILER.size :])
    assert size == len(data) - HEADER.size - TRAILER.size
    assert records == len(sorted_records(data[HEADER.size : -TRAILER.size])) == 5
