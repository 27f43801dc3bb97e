"""Manifests: a sink that holds what the files say, whatever happens to them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.manifests import files, parsing
from fastdns.plugins.kubernetes.manifests import source as source_module
from fastdns.plugins.kubernetes.manifests.parsing import parse_manifests
from fastdns.plugins.kubernetes.manifests.source import ManifestSource
from fastdns.plugins.kubernetes.sink import Resource

RESOURCES = tuple(Resource)


def service(name: str, address: str = "10.0.0.1", namespace: str = "ns", extra: str = "") -> str:
    return (
        "---\napiVersion: v1\nkind: Service\n"
        f"metadata: {{name: {name}, namespace: {namespace}{extra}}}\n"
        f"spec: {{clusterIP: {address}}}\n"
    )


class Recorder:
    """A sink that keeps what it is told, and insists on the order of calls."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Resource, str, str], Any] = {}
        self.listing: Resource | None = None
        self.listed: list[Resource] = []
        self.changes: list[str] = []
        self.flushes = 0

    def begin(self, resource: Resource) -> None:
        assert self.listing is None
        self.listing = resource

    def upsert(self, resource: Resource, obj: Any) -> None:
        assert self.listing in (None, resource)
        self.objects[resource, obj.metadata.namespace, obj.metadata.name] = obj
        self.changes.append(f"+{obj.metadata.name}")

    def delete(self, resource: Resource, obj: Any) -> None:
        assert self.listing is None
        del self.objects[resource, obj.metadata.namespace, obj.metadata.name]
        self.changes.append(f"-{obj.metadata.name}")

    def end(self, resource: Resource) -> None:
        assert self.listing == resource
        self.listing = None
        self.listed.append(resource)

    def flush(self) -> None:
        self.flushes += 1

    def names(self, resource: Resource = Resource.SERVICE) -> set[str]:
        return {f"{namespace}/{name}" for kind, namespace, name in self.objects if kind == resource}


def source(*paths: Path, **options: Any) -> tuple[ManifestSource, Recorder]:
    recorder = Recorder()
    options.setdefault("resources", RESOURCES)
    return ManifestSource([str(path) for path in paths], recorder, **options), recorder


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Files of these tests are whole when they are looked at."""
    if "watched" not in request.fixturenames:
        monkeypatch.setattr(files, "SETTLE_S", 0.0)
        monkeypatch.setattr(files, "LOSS_S", 0.0)


# --------------------------------------------------------------------------------------------- publishing


def test_everything_is_listed_once_then_differences_are_told(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(service("a") + service("b"))
    followed, sink = source(file)
    followed.refresh()
    assert sorted(sink.listed) == sorted(RESOURCES)
    assert sink.names() == {"ns/a", "ns/b"}
    assert sink.names(Resource.NAMESPACE) == {"/ns"}
    sink.changes.clear()
    followed.refresh()
    assert sink.changes == [] and sink.flushes == 1
    file.write_text(service("b", "10.0.0.2") + service("c"))
    followed.refresh()
    assert sorted(sink.changes) == ["+b", "+c", "-a"]
    assert sink.objects[Resource.SERVICE, "ns", "b"].spec.clusterIP == "10.0.0.2"
    assert len(sink.listed) == len(RESOURCES)


def test_a_namespace_lives_as_long_as_something_in_it(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(service("a", namespace="one") + service("b", namespace="two"))
    followed, sink = source(file)
    followed.refresh()
    assert sink.names(Resource.NAMESPACE) == {"/one", "/two"}
    file.write_text(service("a", namespace="one"))
    followed.refresh()
    assert sink.names(Resource.NAMESPACE) == {"/one"}


def test_resources_that_nobody_wants(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(service("a") + "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n")
    followed, sink = source(file, resources=(Resource.SERVICE, Resource.NAMESPACE))
    followed.refresh()
    assert sink.names(Resource.POD) == set()
    assert sink.listed == [Resource.SERVICE, Resource.NAMESPACE]


def test_a_file_and_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.yaml").write_text(service("b"))
    (folder / "c.yml").write_text(service("c"))
    (folder / "d.json").write_text('{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "d"}}')
    (folder / "e.txt").write_text("not: [read")
    (folder / ".f.yaml.swp").write_text("not: [read")
    (folder / "sub" / "g.yaml").write_text(service("g"))
    file = tmp_path / "a.yaml"
    file.write_text(service("a"))
    followed, sink = source(file, folder)
    followed.refresh()
    assert sink.names() == {"ns/a", "ns/b", "ns/c", "default/d"}
    (folder / "b.yaml").unlink()
    (folder / "z.yaml").write_text(service("z"))
    followed.refresh()
    assert sink.names() == {"ns/a", "ns/c", "default/d", "ns/z"}


def test_the_first_of_two_definitions_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.write_text(service("a", "10.0.0.1"))
    two.write_text(service("a", "10.0.0.2"))
    followed, sink = source(one, two)
    followed.refresh()
    assert sink.objects[Resource.SERVICE, "ns", "a"].spec.clusterIP == "10.0.0.1"
    assert f"{two}:2 - already defined in {one}:2; the first one is served" in caplog.text
    one.write_text("# nothing any more\n")
    followed.refresh()
    assert sink.objects[Resource.SERVICE, "ns", "a"].spec.clusterIP == "10.0.0.2"


@pytest.mark.parametrize(
    ("options", "names", "namespaces"),
    [
        ({}, {"red/a", "red/b", "blue/c"}, {"/red", "/blue"}),
        ({"labels": "tier=web"}, {"red/a"}, {"/red", "/blue"}),
        ({"labels": "tier!=web"}, {"red/b", "blue/c"}, {"/red", "/blue"}),
        ({"namespace_labels": "team=dns"}, {"red/a", "red/b", "blue/c"}, {"/red"}),
        ({"labels": "tier in (web, db)", "namespace_labels": "!team"}, {"red/a", "red/b"}, {"/blue"}),
    ],
    ids=["none", "is", "is not", "of namespaces", "both"],
)
def test_selectors(tmp_path: Path, options: dict[str, str], names: set[str], namespaces: set[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: red, labels: {team: dns}}\n"
        "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: blue}\n"
        + service("a", namespace="red", extra=", labels: {tier: web}")
        + service("b", namespace="red", extra=", labels: {tier: db}")
        + service("c", namespace="blue")
    )
    followed, sink = source(file, **options)
    followed.refresh()
    assert (sink.names(), sink.names(Resource.NAMESPACE)) == (names, namespaces)


def test_a_wrong_selector() -> None:
    with pytest.raises(SourceError, match="unable to parse the label selector"):
        source(Path("/nothing"), labels="a in b")


# ----------------------------------------------------------------------------------------------- bad files


def test_nothing_is_published_before_every_file_could_be_read(tmp_path: Path) -> None:
    one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.write_text(service("a"))
    followed, sink = source(one, two)
    followed.refresh()
    assert not sink.listed
    two.write_text("broken: [")
    followed.refresh()
    assert not sink.listed
    two.write_text(service("b"))
    followed.refresh()
    assert sink.names() == {"ns/a", "ns/b"}


def test_a_broken_edit_keeps_the_last_good_content(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.write_text(service("a"))
    other.write_text(service("b"))
    followed, sink = source(file, other)
    followed.refresh()
    file.write_text(service("new") + "---\nkind: [\n")
    other.write_text(service("c"))
    for _ in range(3):
        followed.refresh()
    assert sink.names() == {"ns/a", "ns/c"}
    assert len(caplog.records) == 1, "said once"
    assert caplog.messages[0].startswith(f"{file}:8 - not valid YAML: ")
    assert caplog.messages[0].endswith("; its previous content is still served")
    file.write_text(service("new"))
    followed.refresh()
    assert sink.names() == {"ns/new", "ns/c"}


@pytest.mark.parametrize(
    "how",
    [
        "vanishes", "is empty", "is binary", "is Latin-1", "is nested too deep", "has a number that is none",
        "may not be read", "is a folder now", "is too large",
    ],
)  # fmt: skip
def test_a_named_file_that(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "may not be read" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    file = tmp_path / "a.yaml"
    file.write_text(service("a"))
    followed, sink = source(file)
    followed.refresh()
    says = str(file)
    if how == "vanishes":
        file.unlink()
    elif how == "is empty":
        file.write_text("")
    elif how == "is binary":
        file.write_bytes(b"\xff\xfe\x00")
        says = f"{file}:1 - not UTF-8: invalid start byte, 0xff"
    elif how == "is Latin-1":
        file.write_bytes(service("b").encode() + "# é\n".encode("latin-1"))
        says = f"{file}:6 - not UTF-8: invalid continuation byte, 0xe9"
    elif how == "is nested too deep":
        file.write_text(service("b") + "spec: " + "[" * 200_000)
        says = f"{file}:6 - not valid YAML: nested deeper than 100"
    elif how == "has a number that is none":
        file.write_text(service("b") + "status: !!int none\n")
        says = f"{file}:2 - not valid YAML: invalid literal for int() with base 10: 'none'"
    elif how == "may not be read":
        file.write_text(service("b"))
        file.chmod(0)
    elif how == "is a folder now":
        file.unlink()
        file.mkdir()
    else:
        monkeypatch.setattr(files, "MAX_FILE_BYTES", 10)
        file.write_text(service("b"))
    followed.refresh()
    followed.refresh()
    if how == "is a folder now":
        assert sink.names() == set()
        return
    assert sink.names() == {"ns/a"}
    assert len(caplog.records) == 1
    assert caplog.messages[0].startswith(says)
    assert caplog.messages[0].endswith("; its previous content is still served")


def test_pipes_and_devices_are_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A pipe was waited for, and /dev/zero filled the watcher's memory."""
    whole, pipe = tmp_path / "whole.yaml", tmp_path / "pipe.yaml"
    whole.write_text(service("a"))
    os.mkfifo(pipe)
    followed, sink = source(whole, pipe, Path("/dev/zero"))
    followed.refresh()
    assert [line for line in caplog.messages if "not a regular file" in line] == [
        f"{pipe} is not a regular file", "/dev/zero is not a regular file",
    ]  # fmt: skip
    assert not sink.listed


def test_a_folder_that_vanishes_denies_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.yaml").write_text(service("a"))
    followed, sink = source(folder)
    followed.refresh()
    folder.rename(tmp_path / "away")
    followed.refresh()
    assert sink.names() == {"ns/a"}
    assert f"{folder} cannot be read" in caplog.text
    (tmp_path / "away").rename(folder)
    (folder / "a.yaml").rename(folder / "b.yaml")
    (folder / "b.yaml").write_text(service("b"))
    followed.refresh()
    assert sink.names() == {"ns/b"}


def test_a_file_that_is_being_written_is_left_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SETTLE_S", 60.0)
    file = tmp_path / "a.yaml"
    file.write_text(service("a"))
    followed, sink = source(file)
    followed.refresh()
    assert sink.names() == {"ns/a"}, "the first time there is nothing better"
    file.write_text("")
    followed.refresh()
    assert followed.files.unsettled and sink.names() == {"ns/a"}
    file.write_text(service("b"))
    os.utime(file, (time.time() - 61, time.time() - 61))
    followed.refresh()
    assert not followed.files.unsettled and sink.names() == {"ns/b"}


def test_a_file_that_changes_while_it_is_read_is_left_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Truncated after it was looked at and before it was read: its names were gone for a moment."""
    file = tmp_path / "a.yaml"
    file.write_text(service("a"))
    followed, sink = source(file)
    followed.refresh()
    file.write_text(service("a") + service("b"))
    read_bytes = Path.read_bytes

    def truncated(path: Path) -> bytes:
        path.write_text("# half\n")
        return read_bytes(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", truncated)
        followed.refresh()
    assert followed.files.unsettled and sink.names() == {"ns/a"}
    file.write_text(service("a") + service("b"))
    followed.refresh()
    assert not followed.files.unsettled and sink.names() == {"ns/a", "ns/b"}


@pytest.mark.parametrize("renamed", [False, True], ids=["in place", "renamed"])
def test_what_a_file_has_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renamed: bool) -> None:
    """Written in place, the rest of it may be on its way; a new file in its place is whole."""
    monkeypatch.setattr(files, "LOSS_S", 60.0)
    file, beside = tmp_path / "a.yaml", tmp_path / "a.yaml~"
    file.write_text(service("a") + service("b"))
    followed, sink = source(file)
    followed.refresh()
    (beside if renamed else file).write_text(service("a"))
    if renamed:
        beside.replace(file)
    followed.refresh()
    assert sink.names() == ({"ns/a"} if renamed else {"ns/a", "ns/b"})
    assert followed.files.unsettled != renamed
    os.utime(file, (time.time() - 61, time.time() - 61))
    followed.refresh()
    assert not followed.files.unsettled and sink.names() == {"ns/a"}


# ------------------------------------------------------------------------------------------------ watching


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Follow paths in the background, and wait for what becomes of them."""
    tasks = []

    async def follow(*paths: Path, **options: Any) -> Callable[..., Any]:
        followed, sink = source(*paths, **options)
        tasks.append(asyncio.create_task(followed.run()))

        async def becomes(*names: str, limit_s: float = 5.0) -> float:
            begun = time.monotonic()
            while sink.names() != {f"ns/{name}" for name in names}:
                assert time.monotonic() - begun < limit_s, sink.names()
                await asyncio.sleep(0.005)
            return time.monotonic() - begun

        return becomes

    yield follow
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_edits_are_seen_at_once(tmp_path: Path, watched: Any) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(service("a"))
    becomes = await watched(file)
    await becomes("a")
    # The watch begins after the first reading; what is missed in between comes with the next poll.
    file.write_text(service("a") + service("b"))
    await becomes("a", "b")
    quickest = 10.0
    for name in ("c", "d", "e"):
        file.write_text(service(name))
        quickest = min(quickest, await becomes(name))
    assert quickest < 1.0


async def test_an_editor_that_renames(tmp_path: Path, watched: Any) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(service("a"))
    becomes = await watched(file)
    await becomes("a")
    for name in ("b", "c"):
        beside = tmp_path / "a.yaml~"
        beside.write_text(service(name))
        beside.replace(file)
        await becomes(name)


@pytest.mark.parametrize("named", ["file", "folder"])
async def test_the_symlinks_of_a_configmap_volume(tmp_path: Path, watched: Any, named: str) -> None:
    """kubelet writes a new folder, then swaps ..data, a symlink to it, in one rename; the old folder goes."""
    volume = tmp_path / "volume"
    volume.mkdir()

    def publish(version: str, name: str) -> None:
        data = volume / f"..{version}"
        data.mkdir()
        (data / "cluster.yaml").write_text(service(name))
        (volume / "..data_tmp").symlink_to(data.name)
        (volume / "..data_tmp").replace(volume / "..data")

    publish("1", "a")
    (volume / "cluster.yaml").symlink_to("..data/cluster.yaml")
    becomes = await watched(volume if named == "folder" else volume / "cluster.yaml")
    await becomes("a")
    for version, name in (("2", "b"), ("3", "c")):
        publish(version, name)
        old = volume / f"..{int(version) - 1}"
        (old / "cluster.yaml").unlink()
        old.rmdir()
        await becomes(name)


async def test_what_is_not_there_yet(tmp_path: Path, watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "POLL_S", 0.1)
    folder = tmp_path / "later"
    becomes = await watched(folder / "a.yaml")
    await asyncio.sleep(0.1)
    folder.mkdir()
    await asyncio.sleep(0.1)
    (folder / "a.yaml").write_text(service("a"))
    await becomes("a")
    (folder / "a.yaml").write_text(service("b"))
    await becomes("b")


async def test_files_that_come_to_and_leave_a_folder(tmp_path: Path, watched: Any) -> None:
    (tmp_path / "a.yaml").write_text(service("a"))
    becomes = await watched(tmp_path)
    await becomes("a")
    (tmp_path / "b.yaml").write_text(service("b"))
    await becomes("a", "b")
    (tmp_path / "a.yaml").unlink()
    await becomes("b")


def test_the_log_is_the_kubernetes_plugins() -> None:
    logs = {module.log for module in (files, parsing, source_module)}
    assert logs == {logging.getLogger("plugin/kubernetes")}


def write(file: Path, text: str) -> None:
    """As one that nobody writes to any more."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.utime(new, (1_000_000_000, 1_000_000_000))
    new.rename(file)


def slice_of(*addresses: str, kind: str = "IPv4", ports: str = "[{port: 80}]") -> str:
    endpoints = "".join(f"- addresses: [{one}]\n" for one in addresses)
    return (
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        "metadata: {name: s, namespace: ns, labels: {kubernetes.io/service-name: s}}\n"
        f"addressType: {kind}\nports: {ports}\nendpoints:\n{endpoints}"
    )


WRONG = [
    (service("a", "10.96.0.999"), 5, "Service ns/a: spec.clusterIP: '10.96.0.999' is no IP address", "addresses"),
    (service("a", "10.0.0.1}").replace("10.0.0.1}", '10.0.0.1, clusterIPs: [10.0.0.1, "fd00::g"]'), 5,
     "Service ns/a: spec.clusterIPs[1]: 'fd00::g' is no IP address", "addresses"),
    (service("a", "10.0.0.1, ports: [{port: 80}, {port: 65536}]"), 5,
     "Service ns/a: spec.ports[1].port: 65536 is no port; expected 1 to 65535", "ports"),
    (service("a").replace("clusterIP: 10.0.0.1", "type: ExternalName, externalName: a..b"), 5,
     "Service ns/a: spec.externalName: 'a..b' is no domain name", "names"),
    (service("a").replace("clusterIP: 10.0.0.1", "type: ExternalName, externalName: 10.0.0.1"), 5,
     "Service ns/a: spec.externalName: '10.0.0.1' is no domain name", "names"),
    (slice_of("10.0.0.1", "10.0.0.256"), 9,
     "EndpointSlice ns/s: endpoints[1].addresses[0]: '10.0.0.256' is no IPv4 address", "addresses"),
    (slice_of("10.0.0.1", kind="IPv6"), 8,
     "EndpointSlice ns/s: endpoints[0].addresses[0]: '10.0.0.1' is no IPv6 address", "addresses"),
    (slice_of("10.0.0.1", ports="[{port: -1}]"), 6,
     "EndpointSlice ns/s: ports[0].port: -1 is no port; expected 1 to 65535", "ports"),
    ("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nstatus: {podIP: fe80::1%eth0}\n", 4,
     "Pod default/p: status.podIP: 'fe80::1%eth0' is no IP address", "addresses"),
    ("apiVersion: multicluster.x-k8s.io/v1alpha1\nkind: ServiceImport\nmetadata: {name: i}\n"
     "spec:\n  type: ClusterSetIP\n  ips:\n  - 1.2.3\n", 7,
     "ServiceImport default/i: spec.ips[0]: '1.2.3' is no IP address", "addresses"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "said", "what"), WRONG, ids=[said for _, _, said, _ in WRONG])
def test_a_field_that_cannot_be_served_is_said_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, line: int, said: str, what: str
) -> None:
    """An address 10.96.0.999 was dropped without a word."""
    caplog.set_level(logging.INFO)
    file = tmp_path / "a.yaml"
    counted: list[tuple[str, str]] = []
    sink = Recorder()
    source = ManifestSource(
        [str(file)], sink, resources=RESOURCES, on_left_out=lambda *one: counted.append(one)
    )
    write(file, text)
    source.refresh()
    (object_of,) = parse_manifests(text, str(file))
    assert [record.message for record in caplog.records] == [f"{file}:{line} - {said}; it is left out"]
    assert counted == [(object_of.key[0].name.lower(), what)]
    assert object_of.key in sink.objects, "the rest of it is served"
    # Other objects come, and the line is another one: nothing new.
    write(file, service("neighbour") + ("---\n" if not text.startswith("---") else "") + text)
    source.refresh()
    assert len(caplog.records) == len(counted) == 1
    assert (Resource.SERVICE, "ns", "neighbour") in sink.objects
    # It is mended.
    caplog.clear()
    write(file, service("neighbour"))
    source.refresh()
    which = said.partition(": ")[0] + ": " + said.split(": ")[1]
    assert [record.message for record in caplog.records] == [f"{file} - {which} is valid now"]
    # And broken once more.
    write(file, text)
    source.refresh()
    assert len(counted) == 2


def test_what_is_left_out_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    ports = "[{port: 80}, {port: 0}, {name: x, port: 81}]"
    write(file, slice_of("10.0.0.1", "10.0.0.256", "10.0.0.3", ports=ports))
    sink = Recorder()
    ManifestSource([str(file)], sink, resources=RESOURCES).refresh()
    (served,) = (obj for key, obj in sink.objects.items() if key[0] is Resource.SLICE)
    assert [endpoint.addresses for endpoint in served.endpoints] == [["10.0.0.1"], [], ["10.0.0.3"]]
    assert [port.port for port in served.ports] == [80, 81]


def test_a_file_full_of_mistakes_does_not_fill_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.yaml"
    counted: list[tuple[str, str]] = []
    write(file, "".join(service(f"s{number}", "nonsense") for number in range(100)))
    source = ManifestSource(
        [str(file)], Recorder(), resources=RESOURCES, on_left_out=lambda *one: counted.append(one)
    )
    source.refresh()
    assert len(counted) == 100
    assert len(caplog.records) == files.MAX_SAID + 1
    assert caplog.records[-1].message == f"{file}: {100 - files.MAX_SAID} more fields are left out"


def test_a_file_that_is_right_again_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "a.yaml"
    source = ManifestSource([str(file)], Recorder(), resources=RESOURCES)
    for text in (service("a"), "a: [", service("a"), service("b")):
        write(file, text)
        source.refresh()
    said = [record.message for record in caplog.records if "already" not in record.message]
    assert len(said) == 2 and "not valid YAML" in said[0]
    assert said[1] == f"{file} is valid again; its present content is served"
