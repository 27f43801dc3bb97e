"""The source against an API server that misbehaves: in the end the sink equals the store, and in time."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from fastdns.bench.apiserver import ApiServer, Store, fill, namespace, pod, service, service_import, slice_
from fastdns.http.client import FRESH_AFTER_S
from fastdns.plugins.kubernetes.api import reflector
from fastdns.plugins.kubernetes.api.consistency import PERIOD_MAX_S, REPLACED, SETTLE_S
from fastdns.plugins.kubernetes.api.reflector import Timing
from fastdns.plugins.kubernetes.api.source import CheckTiming
from fastdns.plugins.kubernetes.resources import needed_resources
from fastdns.plugins.kubernetes.sink import Resource
from tests.plugins.kubernetes.api.support import (
    FAST,
    OFTEN,
    PLURALS,
    RecordingSink,
    is_equal,
    options,
    running,
    until,
    until_equal,
)


def change(server: ApiServer, name: str = "new") -> None:
    """One object more, one changed and one less, of each resource."""
    store = server.store
    store.put(service(name, "ns-000", cluster_ips=["10.0.0.9"]))
    store.put(slice_(name, "ns-000", service=name, endpoints=["10.1.2.3"]))
    store.put(namespace(f"of-{name}"))
    for plural in ("services", "endpointslices"):
        first, second = [key.split("/") for key in store.keys(plural)[:2]]
        store.patch(plural, *first, {"metadata": {"labels": {"changed": name}}})
        store.delete(plural, *second)


def watches_of(server: ApiServer, plural: str = "") -> int:
    """How often watches were asked for, of one resource or of all."""
    return sum("watch" in request.query and request.path.endswith(plural) for request in server.requests)


async def test_all_resources_and_selectors(server: ApiServer, tmp_path: Path) -> None:
    server.store.put(service("with", labels={"a": "b"}))
    server.store.put(slice_("with", service="with", labels={"a": "b"}))
    server.store.put(pod("with", ip="10.9.9.9", labels={"a": "b"}))
    server.store.put(pod("done", ip="10.9.9.8", labels={"a": "b"}, phase="Succeeded"))
    server.store.put(namespace("chosen", labels={"n": "m"}))
    changes: dict[str, Any] = {"labels": "a=b", "namespace_labels": "n=m", "pods": "verified"}
    async with running(server, tmp_path, **changes) as run:
        await until(lambda: run.source.synced)
        assert run.sink.synced == set(needed_resources(options(**changes)))
        assert {name: list(held) for name, held in run.sink.objects.items() if held} == {
            Resource.SERVICE: ["default/with"],
            Resource.SLICE: ["default/with"],
            Resource.POD: ["default/with"],
            Resource.NAMESPACE: ["chosen"],
        }
        server.store.patch("pods", "default", "with", {"status": {"phase": "Failed"}})
        await until(lambda: not run.sink.objects[Resource.POD])


@pytest.mark.parametrize(
    ("changes", "resources"),
    [
        ({}, "SERVICE SLICE NAMESPACE"),
        ({"noendpoints": True}, "SERVICE NAMESPACE"),
        ({"pods": "verified"}, "SERVICE SLICE NAMESPACE POD"),
        ({"multicluster": ("clusterset.local.",)}, "SERVICE SLICE NAMESPACE IMPORT IMPORT_SLICE"),
    ],
)
def test_needed_resources(changes: dict[str, Any], resources: str) -> None:
    assert [resource.name for resource in needed_resources(options(**changes))] == resources.split()


async def test_multicluster(tmp_path: Path) -> None:
    store = Store()
    store.put(service_import("shared", ips=["10.5.0.1"]))
    labels = {"multicluster.kubernetes.io/service-name": "shared"}
    store.put(slice_("shared-1", labels=labels))
    store.put(slice_("local", service="local"))
    async with (
        ApiServer(store, imports=True) as server,
        running(server, tmp_path, multicluster=("clusterset.local.",)) as run,
    ):
        server.permissions["serviceimports"] = {"list", "watch"}
        await until(lambda: len(run.sink.synced) == 5)
        assert list(run.sink.objects[Resource.IMPORT]) == ["default/shared"]
        assert list(run.sink.objects[Resource.IMPORT_SLICE]) == ["default/shared-1"]


async def test_multicluster_without_its_kind_degrades(server: ApiServer, tmp_path: Path) -> None:
    async with running(server, tmp_path, multicluster=("clusterset.local.",)) as run:
        await until(lambda: Resource.IMPORT in run.sink.synced)
        await until_equal(server, run.sink)
        server.installed.add("serviceimports")
        server.store.put(service_import("late", ips=["10.5.0.2"]))
        await until(lambda: run.sink.objects[Resource.IMPORT])


async def test_changes_arrive_at_once(server: ApiServer, tmp_path: Path) -> None:
    async with running(server, tmp_path) as run:
        await until_equal(server, run.sink)
        before = run.sink.calls["begin"]
        change(server)
        assert await until_equal(server, run.sink) < 0.5
        assert run.sink.calls["begin"] == before == 3


# Each fault, set while the source is in sync; then the store changes; then it must show, the fault still on
# where it strikes a limited number of times.
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("gone", {"times": 3, "verb": "watch"}),
    ("gone_event", {"times": 3}),
    ("error_event", {"times": 4}),
    ("close", {"times": 3}),
    ("cut", {"times": 4}),
    ("cut", {"times": 4, "after": 7}),
    ("too_many", {"times": 4, "retry_after_s": 0}),
    ("error", {"times": 5}),
    ("error", {"times": 5, "code": 503}),
    ("unauthorized", {"times": 2}),
    ("forbidden", {"times": 5}),
    ("not_found", {"times": 3}),
    ("duplicate", {"times": 20}),
    ("garbage", {"times": 3}),
    ("slow", {"chunk": 100, "pause_s": 0.001}),
    ("no_bookmarks", {}),
]


@pytest.mark.parametrize(("fault", "more"), FAULTS, ids=lambda value: str(value))
async def test_a_fault_while_in_sync(server: ApiServer, tmp_path: Path, fault: str, more: Any) -> None:
    async with running(server, tmp_path) as run:
        await until_equal(server, run.sink)
        server.faults.set(fault, **more)
        server.disconnect()
        change(server, "one")
        await until_equal(server, run.sink)
        change(server, "two")
        await until_equal(server, run.sink)
        assert server.faults.hits[fault] or fault in ("slow", "no_bookmarks")


@pytest.mark.parametrize(("fault", "more"), FAULTS, ids=lambda value: str(value))
async def test_a_fault_from_the_start(server: ApiServer, tmp_path: Path, fault: str, more: Any) -> None:
    server.faults.set(fault, **more)
    async with running(server, tmp_path) as run:
        await until(lambda: run.source.synced)
        await until_equal(server, run.sink)


@pytest.mark.parametrize("form", ["event", "invalid", "ignored"])
async def test_a_server_without_streaming_lists(server: ApiServer, tmp_path: Path, form: str) -> None:
    server.faults.set("no_streaming", form=form)
    timing = Timing(backoff_first_s=0.01, backoff_max_s=0.1, silence_s=2.0, initial_silence_s=0.3, page_objects=4)
    # Synthetic events without an end: bookmarks must not pass for one.
    server.bookmark_every_s = 60
    async with running(server, tmp_path, timing=timing) as run:
        await until(lambda: run.source.synced)
        change(server)
        await until_equal(server, run.sink)
        lists = [request for request in server.requests if "limit" in request.query]
        assert sum("continue" in request.query for request in lists) >= 8
        if form != "ignored":
            assert run.source._outage.streams_lists is False


async def test_continue_tokens_that_expire(server: ApiServer, tmp_path: Path) -> None:
    server.faults.set("no_streaming", form="invalid")
    server.faults.set("expired_continue")
    timing = Timing(backoff_first_s=0.01, backoff_max_s=0.1, page_objects=4)
    async with running(server, tmp_path, timing=timing) as run:
        await until(lambda: run.source.synced)
        await until_equal(server, run.sink)
        assert server.faults.hits["expired_continue"] >= 2


async def test_a_compacted_store_lists_anew_and_sweeps(server: ApiServer, tmp_path: Path) -> None:
    async with running(server, tmp_path) as run:
        await until_equal(server, run.sink)
        server.faults.set("refuse")
        await until(lambda: not run.source.connected)
        known = run.sink.versions(Resource.SERVICE)
        change(server)
        server.store.compact()
        assert run.sink.versions(Resource.SERVICE) == known, "the last known state is served on"
        server.faults.clear()
        await until_equal(server, run.sink)
        assert run.metrics.relists[("services", "gone")] >= 1
        assert run.source.connected


async def test_an_outage_is_logged_once(
    server: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "plugin/kubernetes")
    async with running(server, tmp_path) as run:
        await until_equal(server, run.sink)
        server.faults.set("refuse")
        await until(lambda: not run.source.connected)
        last = run.source.last_contact
        await asyncio.sleep(0.5)
        assert run.source.last_contact == last
        server.faults.clear()
        await until(lambda: run.source.connected)
        change(server)
        await until_equal(server, run.sink)
    assert caplog.text.count("cannot reach the API server") == 1
    assert "serving the last known state" in caplog.text
    assert caplog.text.count("responds again") == 1


async def test_a_silent_watch_is_replaced(server: ApiServer, tmp_path: Path) -> None:
    timing = Timing(backoff_first_s=0.01, backoff_max_s=0.1, silence_s=0.4, initial_silence_s=1.0)
    async with running(server, tmp_path, timing=timing) as run:
        await until_equal(server, run.sink)
        watches = watches_of(server, "/services")
        server.faults.set("stall", resource="services", verb="watch", times=1)
        change(server)
        await until(lambda: watches_of(server, "/services") > watches)
        server.faults.clear()
        await until_equal(server, run.sink)
        assert run.sink.calls["begin"] == 3, "it went on from the last version"


async def test_an_idle_watch_is_kept_by_its_bookmarks(server: ApiServer, tmp_path: Path) -> None:
    """Bookmarks come each 0.2 s here: nothing else is said, and nothing is asked again."""
    timing = Timing(backoff_first_s=0.01, backoff_max_s=0.1, silence_s=1.5, initial_silence_s=5.0)
    async with running(server, tmp_path, timing=timing) as run:
        await until_equal(server, run.sink)
        await until(lambda: all(reflector.watching for reflector in run.source.reflectors))
        watches = [reflector.watching for reflector in run.source.reflectors]
        contact = run.source.last_contact
        await asyncio.sleep(2.5)
        assert [reflector.watching for reflector in run.source.reflectors] == watches
        assert run.source.last_contact > contact + 1.5


def test_what_a_watch_misses_is_repaired_within_a_minute() -> None:
    """The longest wait for a check, a dead connection, its second look; then a listing of some seconds."""
    assert PERIOD_MAX_S + FRESH_AFTER_S + SETTLE_S <= 55
    assert CheckTiming().period_s() <= PERIOD_MAX_S


async def test_a_stall_lasts_no_longer_than_the_silence_allowed(server: ApiServer, tmp_path: Path) -> None:
    timing = Timing(backoff_first_s=0.01, backoff_max_s=0.1, silence_s=0.4, initial_silence_s=1.0)
    async with running(server, tmp_path, timing=timing) as run:
        await until_equal(server, run.sink)
        watches = watches_of(server)
        server.faults.set("stall", verb="watch")
        await until(lambda: watches_of(server) >= watches + 3)
        server.faults.clear()
        change(server)
        await until_equal(server, run.sink)


async def test_a_server_that_takes_connections_but_never_answers(server: ApiServer, tmp_path: Path) -> None:
    timing = Timing(backoff_first_s=0.01, backoff_max_s=0.1, silence_s=0.3, initial_silence_s=0.3)
    async with running(server, tmp_path, timing=timing) as run:
        run.source._client._connect_timeout_s = 0.1
        await until_equal(server, run.sink)
        server.faults.set("hang", verb="watch")
        server.disconnect()
        await until(lambda: not run.source.connected)
        server.faults.clear()
        change(server)
        await until_equal(server, run.sink)
        await until(lambda: run.source.connected)


async def test_half_open_connections(server: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was open is dead without a sign of it; new connections are answered. Checks waited for dead ones."""
    async with running(server, tmp_path, checks=OFTEN) as run:
        run.source._client._fresh_after_s = 0.2
        await until_equal(server, run.sink)
        await until(lambda: all(reflector.watching for reflector in run.source.reflectors))
        # So that each check meets a dead one.
        await asyncio.gather(*(run.source._client.get("/api/v1/namespaces", {}) for _ in range(6)))
        server.faults.set("freeze")
        change(server)
        await until_equal(server, run.sink)
        watches = watches_of(server)
        change(server, "another")
        assert await until_equal(server, run.sink) < 0.5, "its watches are whole again"
        assert watches_of(server) == watches
    assert "cannot reach" not in caplog.text


async def test_a_silent_pooled_connection_has_all_silent_watches_opened_anew(
    server: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Before any check of them: from their last version, without listing anything."""
    async with running(server, tmp_path) as run:
        client = run.source._client
        client._fresh_after_s = 0.2
        await client.close()
        await until_equal(server, run.sink)
        await until(lambda: all(reflector.watching for reflector in run.source.reflectors))
        await client.get("/api/v1/namespaces", {"limit": "1"})
        begun = run.sink.calls["begin"]
        server.faults.set("freeze")
        change(server)
        await client.get("/api/v1/namespaces", {"limit": "1"})
        await until_equal(server, run.sink)
        assert run.sink.calls["begin"] == begun
    assert caplog.text.count("the silent watches are opened again: services, endpointslices, namespaces") == 1


@pytest.mark.parametrize("form", ["", "invalid"], ids=["streaming", "pages"])
@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_a_listing_that_stops_is_asked_for_again(
    server: ApiServer, tmp_path: Path, form: str, verb: str
) -> None:
    """The connection dies under it, and the server answers new ones: it took 30 s for a stream, 60 for a page."""
    if form:
        server.faults.set("no_streaming", form=form)
    server.faults.set("stall", resource="services", verb=verb)
    timing = Timing(backoff_first_s=0.01, backoff_max_s=0.1, silence_s=60.0, initial_silence_s=60.0)
    async with running(server, tmp_path, timing=timing) as run:
        run.source._client._fresh_after_s = 0.2
        expected = (form, verb) in (("", "watch"), ("invalid", "list"))
        await until(lambda: server.faults.hits["stall"] or (not expected and run.source.synced))
        server.faults.set("freeze")
        server.faults.clear("stall")
        await until_equal(server, run.sink)


async def test_a_server_that_is_silent_at_start(server: ApiServer, tmp_path: Path) -> None:
    """It accepts and never answers, and is well later on: it took over 11 s to ask again."""
    server.faults.set("silent")
    async with running(server, tmp_path) as run:
        run.source._client._fresh_after_s = 0.2
        await until(lambda: server.faults.hits["silent"] >= 6)
        server.faults.clear()
        assert await until_equal(server, run.sink) < 2


async def test_forbidden_is_logged_and_asked_for_again(
    server: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.permissions["endpointslices"] = set()
    async with running(server, tmp_path) as run:
        await until(lambda: {Resource.SERVICE, Resource.NAMESPACE} <= run.sink.synced)
        await asyncio.sleep(0.5)
        assert not run.source.synced
        server.permissions["endpointslices"] = {"list", "watch"}
        await until(lambda: run.source.synced)
    assert caplog.text.count("cannot list or watch endpointslices: endpointslices is forbidden") == 1


async def test_a_rotated_token(server: ApiServer, tmp_path: Path) -> None:
    async with running(server, tmp_path) as run:
        await until_equal(server, run.sink)
        old = server.token
        server.rotate_token()
        # kubelet is late: the pod still has the old one.
        (run.account / "token").write_text(old)
        server.disconnect()
        await until(lambda: any(request.status == 401 for request in server.requests))
        server.service_account(run.account)
        change(server)
        await until_equal(server, run.sink)


async def test_a_replaced_cluster(server: ApiServer, tmp_path: Path) -> None:
    async with running(server, tmp_path) as run:
        await until_equal(server, run.sink)
        await until(lambda: run.source.identity)
        other = Store(rv=10, seed=2)
        fill(other, services=5, endpoints=2, seed=2)
        other.rv = 5000
        # The new store's versions are ahead of the old ones', so only its identity tells.
        server.faults.set("refuse")
        await until(lambda: not run.source.connected)
        server.replace(other)
        server.faults.clear()
        await until_equal(server, run.sink)
        assert REPLACED in {why for _, why in run.metrics.relists}


async def test_an_idle_watch_that_somebody_cuts(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A balancer ends what is idle. The time to the next try must not grow from one to the next."""
    monkeypatch.setattr(reflector, "LONG_WATCH_S", 0.0)
    server.faults.set("no_bookmarks")
    async with running(server, tmp_path) as run:
        await until_equal(server, run.sink)
        for _ in range(5):
            before = len(server.requests)
            server.disconnect()
            await until(lambda before=before: len(server.requests) > before + 2)
            await until(lambda: run.source.connected)
        assert max(one._failures for one in run.source.reflectors) <= 1


async def test_a_cluster_that_went_back_in_time(server: ApiServer, tmp_path: Path) -> None:
    async with running(server, tmp_path, checks=OFTEN) as run:
        server.permissions["namespaces"] = {"list", "watch"}
        await until_equal(server, run.sink)
        await until(lambda: run.source.identity)
        restored = Store(rv=100, seed=1)
        fill(restored, services=3, endpoints=2)
        restored.tables["namespaces"].current["kube-system"].meta = (
            server.store.tables["namespaces"].current["kube-system"].meta
        )
        server.replace(restored)
        await until(lambda: is_equal(server, run.sink, Resource.SERVICE, Resource.SLICE))


async def test_lost_events_are_repaired(
    server: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(server, tmp_path, checks=OFTEN) as run:
        await until_equal(server, run.sink)
        server.faults.set("drop")
        change(server)
        server.faults.clear()
        await until_equal(server, run.sink)
        assert run.metrics.relists["services", "inconsistent"] == 1
        assert run.metrics.relists["endpointslices", "inconsistent"] == 1
    assert "the watch of services missed 2 changes" in caplog.text


async def test_busy_watches_are_not_taken_for_lying_ones(server: ApiServer, tmp_path: Path) -> None:
    async with running(server, tmp_path, checks=OFTEN) as run:
        await until_equal(server, run.sink)
        for number in range(150):
            change(server, f"churn-{number}")
            while server.store.count("services") > 30:
                server.store.delete("services", *server.store.keys("services")[0].split("/"))
            server.store.put(service("again", "ns-000", cluster_ips=["10.0.0.8"]))
            await asyncio.sleep(0.01)
        await until_equal(server, run.sink)
        assert run.metrics.relists == {}


async def test_a_server_that_contradicts_itself_is_not_asked_for_ever(
    server: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(server, tmp_path, checks=OFTEN) as run:
        await until_equal(server, run.sink)
        reflector = run.source.reflectors[0]
        finish = reflector._finish

        def forget(version: str, digest: Any) -> None:
            digest.discard(digest.keys()[0])
            finish(version, digest)

        reflector._finish = forget
        reflector.relist("test")
        await until(lambda: "contradicts itself" in caplog.text or run.metrics.relists.total() > 9)
        assert run.metrics.relists.total() <= 9


@pytest.mark.parametrize("how", ["token", "exec"])
async def test_a_kubeconfig(server: ApiServer, tmp_path: Path, how: str) -> None:
    path = server.kubeconfig(tmp_path / "config", how=how)
    async with running(server, tmp_path, kubeconfig=str(path), context="test") as run:
        # The kubernetes package is imported for a plugin, each time anew, which takes its time on a busy machine.
        await until_equal(server, run.sink, 30.0)
        if how == "exec":
            server.rotate_token()
            server.disconnect()
            change(server)
            await until_equal(server, run.sink, 30.0)


async def test_relist_keeps_answers_and_sweeps(server: ApiServer, tmp_path: Path) -> None:
    class Watching(RecordingSink):
        smallest = 10**6

        def begin(self, resource: Resource) -> None:
            super().begin(resource)
            if resource is Resource.SERVICE and resource in self.synced:
                self.smallest = min(self.smallest, len(self.objects[resource]))

        def upsert(self, resource: Resource, obj: Any) -> None:
            super().upsert(resource, obj)
            if resource is Resource.SERVICE and resource in self.synced:
                self.smallest = min(self.smallest, len(self.objects[resource]))

    async with running(server, tmp_path, sink=Watching()) as run:
        await until_equal(server, run.sink)
        server.faults.set("drop")
        for name in server.store.keys("services")[:7]:
            server.store.delete("services", *name.split("/"))
        server.faults.clear()
        run.source.relist("test")
        await until_equal(server, run.sink)
        assert run.sink.smallest >= 13
        assert FAST.backoff_max_s < 1 and set(PLURALS)
