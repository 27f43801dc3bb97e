"""The reflector without a network: its pure parts, and the recordings of a real API server line by line."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.api.consistency import INCONSISTENT, ConsistencyCheck
from fastdns.plugins.kubernetes.api.digest import key_of
from fastdns.plugins.kubernetes.api.errors import Gone, ServerError, TooManyRequests, api_error
from fastdns.plugins.kubernetes.api.reflector import Reflector, Stream, Timing, backoff_s
from fastdns.plugins.kubernetes.api.skipped import MAX_SAID
from fastdns.plugins.kubernetes.resources import Watched
from fastdns.plugins.kubernetes.sink import Resource
from tests.plugins.kubernetes.api.support import CountingMetrics, RecordingSink


def event(kind: str, name: str = "a", version: int = 1, **spec: Any) -> bytes:
    meta = {"name": name, "namespace": "ns", "resourceVersion": str(version)}
    return json.dumps({"type": kind, "object": {"metadata": meta, "spec": spec}}).encode()


def bookmark(version: int, end: bool = False) -> bytes:
    meta: dict[str, Any] = {"resourceVersion": str(version)}
    if end:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return json.dumps({"type": "BOOKMARK", "object": {"metadata": meta}}).encode()


def failure(code: int, message: str = "no") -> bytes:
    return json.dumps(
        {"type": "ERROR", "object": {"kind": "Status", "metadata": {}, "status": "Failure",
                                     "message": message, "code": code}}
    ).encode()  # fmt: skip


class FakeContact:
    def __init__(self) -> None:
        self.streams_lists = True
        self.log: list[str] = []

    def reached(self, name: str) -> None:
        self.log.append("reached")

    def lost(self, name: str, error: SourceError) -> None:
        self.log.append(f"lost {error}")

    def broken(self) -> None:
        self.log.append("broken")


class FakeClient:
    """Answers from a script: objects and exceptions for list, lists of batches for watch."""

    def __init__(self, gets: list[Any] = [], watches: list[Any] = []) -> None:  # noqa: B006
        self.gets, self.watches = list(gets), list(watches)
        self.asked: list[dict[str, str]] = []

    async def get(self, path: str, params: Mapping[str, str], **how: Any) -> bytes:
        self.asked.append(dict(params))
        return json.dumps(self.gets.pop(0)).encode()

    @contextlib.asynccontextmanager
    async def listing(self, path: str, params: Mapping[str, str], **how: Any) -> AsyncIterator[Answer]:
        self.asked.append(dict(params))
        answer = self.gets.pop(0)
        if isinstance(answer, Exception):
            raise answer
        yield Answer([json.dumps(answer).encode()])

    @contextlib.asynccontextmanager
    async def watch(self, path: str, params: Mapping[str, str], **how: Any) -> AsyncIterator[Answer]:
        self.asked.append(dict(params))
        answer = self.watches.pop(0)
        if isinstance(answer, Exception):
            raise answer
        yield Answer(answer)


class Answer:
    """What a client gives of an answer, in JSON."""

    is_protobuf = False

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    async def __aiter__(self) -> AsyncIterator[Any]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            yield part


def reflector(client: Any = None, resource: Resource = Resource.SERVICE, **more: Any) -> Any:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    made: Any = Reflector(
        Watched(resource, "/api/v1/services", **more),
        client or FakeClient(),
        RecordingSink(),
        FakeContact(),
        metrics=CountingMetrics(),
        timing=Timing(rand=lambda: 0.5, sleep=sleep),
    )
    made.slept = slept
    return made


def names(made: Any) -> dict[str, int]:
    return dict(made._sink.versions(made.watched.resource))


def page(*objects: tuple[str, int], version: int, more: str = "") -> dict[str, Any]:
    return {
        "metadata": {"resourceVersion": str(version), **({"continue": more} if more else {})},
        "items": [json.loads(event("", name, at))["object"] for name, at in objects],
    }


@pytest.mark.parametrize(
    ("failures", "rand", "seconds"),
    [(1, 0.0, 0.05), (1, 1.0, 0.1), (2, 1.0, 0.2), (6, 1.0, 3.2), (7, 1.0, 4.0), (5000, 0.0, 2.0)],
)
def test_backoff(failures: int, rand: float, seconds: float) -> None:
    assert backoff_s(failures, rand) == pytest.approx(seconds)


def test_initial_events_end_with_their_bookmark() -> None:
    made = reflector()
    stream = Stream(made, listing=True)
    stream.take([event("ADDED", "a", 9), event("ADDED", "b", 5)])
    # Initial events come in the order of names: nothing to resume from.
    assert made.version == "" and made._sink.synced == set()
    stream.take([bookmark(20, end=True), event("MODIFIED", "b", 21), event("DELETED", "a", 22)])
    assert made.version == "22"
    assert names(made) == {"ns/b": 21}
    assert made.digest.get(key_of("ns", "b")) == 21 and len(made.digest) == 1
    assert made._sink.calls["flush"] >= 2 and not made._sink.dirty


def test_an_empty_resource_is_listed_too() -> None:
    made = reflector()
    Stream(made, listing=True).take([bookmark(20, end=True)])
    assert made._sink.synced == {Resource.SERVICE} and made.listings == 1


def test_bookmarks_advance() -> None:
    made = reflector()
    Stream(made, listing=False).take([bookmark(30)])
    assert made.version == "30"


def test_what_precedes_an_error_counts() -> None:
    made = reflector()
    with pytest.raises(Gone):
        Stream(made, listing=False).take([event("ADDED", "a", 7), failure(410), event("ADDED", "b", 8)])
    assert names(made) == {"ns/a": 7} and not made._sink.dirty


@pytest.mark.parametrize("resource", [Resource.SERVICE, Resource.POD, Resource.SLICE])
def test_an_error_is_read_whatever_the_resource(resource: Resource) -> None:
    with pytest.raises(TooManyRequests, match="slow down"):
        Stream(reflector(resource=resource), listing=False).take([failure(429, "slow down")])


def test_a_malformed_object_is_named_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    made = reflector()
    Stream(made, listing=False).take(
        [event("ADDED", "bad", 3, ports="none"), event("ADDED", "good", 4), event("NEWS", "x", 5)]
    )
    assert names(made) == {"ns/good": 4} and made.version == "4"
    assert "services" in made.watched.path and "ns/bad is skipped" in caplog.text
    assert made.digest.get(key_of("ns", "bad")) == 3


def test_a_malformed_object_is_said_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Each change of it, and each listing, was a line in the log: any tenant could fill it."""
    caplog.set_level(logging.INFO)
    made = reflector()
    stream = Stream(made, listing=False)
    for version in range(3, 8):
        stream.take([event("MODIFIED", "bad", version, ports="none")])
    assert caplog.text.count("ns/bad is skipped") == 1
    assert made._metrics.left_outs == {("service", "object"): 5}
    stream.take([event("MODIFIED", "bad", 8)])
    stream.take([event("MODIFIED", "bad", 9)])
    assert caplog.text.count("services ns/bad can be read now".replace("services", made.name)) == 1
    stream.take([event("MODIFIED", "bad", 10, ports="none")])
    assert caplog.text.count("ns/bad is skipped") == 2


def test_many_malformed_objects_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    made = reflector()
    stream = Stream(made, listing=False)
    for number in range(3 * MAX_SAID):
        stream.take([event("ADDED", f"bad{number}", number + 1, ports="none")])
    assert caplog.text.count("is skipped") == MAX_SAID
    assert made._metrics.left_outs.total() == 3 * MAX_SAID and len(made._skipped.present) == MAX_SAID
    for number in range(3 * MAX_SAID):
        stream.take([event("DELETED", f"bad{number}", number + 1000)])
    assert not made._skipped.present


def test_a_malformed_object_that_is_deleted_is_gone() -> None:
    """It was noted as one that is there, so that the next check listed everything anew."""
    made = reflector()
    stream = Stream(made, listing=False)
    stream.take([event("ADDED", "a", 3), event("DELETED", "a", 4, ports="none"), event("ADDED", "b", 5)])
    assert names(made) == {"ns/b": 5} and made.version == "5"
    assert made.digest.get(key_of("ns", "a")) is None
    assert made._metrics.left_outs == {}


async def test_what_a_list_has_of_malformed_objects_leaves_the_others_alone() -> None:
    """No metadata, metadata of another kind, fields of another kind, and what is no object at all."""
    odd: list[Any] = [{}, {"metadata": []}, {"metadata": {"name": 5}}, {"metadata": {"name": "x"}, "spec": 5}]
    odd += [None, 5, "text", [1]]
    listed = page(("a", 1), ("b", 2), version=9)
    listed["items"][1:1] = odd
    made = reflector(FakeClient(gets=[listed]))
    await made._list_pages(0)
    assert names(made) == {"ns/a": 1, "ns/b": 2} and made.version == "9"
    assert made._metrics.left_outs == {("service", "object"): len(odd)}


async def test_an_unreadable_object_does_not_cost_the_others_their_check() -> None:
    listed = page(("a", 1), ("lost", 7), version=9)
    listed["items"][1:1] = [None, {"metadata": {"name": 5}}]
    made = reflector(FakeClient(gets=[listed]))
    made._stream = Stream(made, listing=False)
    made._stream.take([event("ADDED", "a", 1)])
    assert await ConsistencyCheck(made, made._client, settle_s=0).run() == INCONSISTENT


def test_an_object_with_malformed_labels_is_named_too(caplog: pytest.LogCaptureFixture) -> None:
    """Its name was read with the rest of the metadata, so what was skipped had none, and each check listed anew."""
    made = reflector()
    meta = b'{"name":"bad","namespace":"ns","resourceVersion":"3","labels":[]}'
    line = b'{"type":"ADDED","object":{"metadata":' + meta + b"}}"
    Stream(made, listing=False).take([line, event("ADDED", "good", 4)])
    assert names(made) == {"ns/good": 4} and "ns/bad is skipped" in caplog.text
    assert made.digest.get(key_of("ns", "bad")) == 3


@pytest.mark.parametrize(
    "name", [b"\xff\xfe", b"x" * 3 + b'","labels":' + b"[" * 100_000 + b"]" * 100_000 + b',"y":"']
)
def test_bytes_that_no_api_server_sends(name: bytes, caplog: pytest.LogCaptureFixture) -> None:
    made = reflector()
    line = b'{"type":"ADDED","object":{"metadata":{"name":"' + name + b'"}}}'
    with contextlib.suppress(Gone):
        Stream(made, listing=False).take([line, event("ADDED", "good", 4)])
    assert names(made) in ({}, {"ns/good": 4}) and not made._sink.dirty


def test_what_the_sink_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    made = reflector()
    upsert = made._sink.upsert

    def picky(resource: Resource, obj: Any) -> None:
        if obj.metadata.name == "bad":
            raise ValueError("no label")
        upsert(resource, obj)

    made._sink.upsert = picky
    Stream(made, listing=False).take([event("ADDED", "bad", 3), event("ADDED", "good", 4)])
    assert names(made) == {"ns/good": 4} and "ns/bad is not served: no label" in caplog.text


def test_a_line_that_is_no_event_lists_anew() -> None:
    with pytest.raises(Gone, match="not a valid event"):
        Stream(reflector(), listing=False).take([b'{"type":"ADDED","obj'])


async def test_pages_follow_each_other() -> None:
    client = FakeClient(gets=[page(("a", 1), version=50, more="t"), page(("b", 2), version=50)])
    made = reflector(client, label_selector="x=y")
    made._contact.streams_lists = False
    await made._list()
    assert names(made) == {"ns/a": 1, "ns/b": 2} and made.version == "50"
    assert client.asked == [
        {"labelSelector": "x=y", "limit": "500"},
        {"labelSelector": "x=y", "limit": "500", "continue": "t"},
    ]


async def test_a_page_that_fails_is_asked_for_again_not_the_whole() -> None:
    client = FakeClient(
        gets=[page(("a", 1), version=50, more="t"), api_error(503, "busy"), page(("b", 2), version=50)]
    )
    made = reflector(client)
    made._contact.streams_lists = False
    await made._list()
    assert names(made) == {"ns/a": 1, "ns/b": 2}
    assert [asked.get("continue") for asked in client.asked] == [None, "t", "t"]


async def test_an_expired_token_starts_again_and_at_last_asks_for_the_whole() -> None:
    first = page(("a", 1), version=50, more="t")
    client = FakeClient(gets=[first, Gone(410, "x"), first, Gone(410, "x"), page(("b", 2), version=60)])
    made = reflector(client)
    made._contact.streams_lists = False
    await made._list()
    assert names(made) == {"ns/b": 2} and made._sink.calls["begin"] == 3 and made._sink.calls["end"] == 1
    assert "limit" not in client.asked[-1]


@pytest.mark.parametrize(
    "refusal",
    [
        api_error(400, "no"),
        api_error(422, "Forbidden: sendInitialEvents"),
        [[failure(500, "the required storage feature RequestWatchProgress is disabled")]],
    ],
    ids=["400", "422", "old etcd"],
)
async def test_a_refused_stream_goes_on_with_pages(refusal: Any) -> None:
    client = FakeClient(gets=[page(("a", 1), version=50)], watches=[refusal, [[event("ADDED", "b", 51)]]])
    made = reflector(client)
    await made._once()
    assert made._contact.streams_lists is False and made.slept == []
    await made._once()
    assert names(made) == {"ns/a": 1, "ns/b": 51}
    assert client.asked[0]["sendInitialEvents"] == "true" and client.asked[2]["resourceVersion"] == "50"


async def test_streams_that_break_off_twice_give_way_to_pages_once() -> None:
    half = [[event("ADDED", "a", 1)]]
    client = FakeClient(gets=[page(("a", 1), version=50)], watches=[half, half, [[bookmark(51)]]])
    made = reflector(client)
    for _ in range(3):
        await made._once()
    assert made.version == "51" and made._sink.calls["end"] == 1
    assert made._contact.streams_lists and made._stream_failures == 0


async def test_the_first_410_lists_at_once_and_the_next_ones_wait() -> None:
    client = FakeClient(watches=[Gone(410, "old")] * 4)
    made = reflector(client)
    for _ in range(4):
        made.version = "5"
        await made._once()
    assert made.version == "" and made.slept == pytest.approx([0.15, 0.3, 0.6])


async def test_watches_that_end_at_once_end_in_a_listing() -> None:
    client = FakeClient(watches=[[]] * 5)
    made = reflector(client)
    made.version = "5"
    for _ in range(5):
        assert made.version == "5"
        await made._once()
    assert made.version == ""


async def test_retry_after_is_longer_than_backoff() -> None:
    made = reflector(FakeClient(watches=[TooManyRequests(429, "later", 7.0), ServerError(500, "x")]))
    made.version = "5"
    await made._once()
    await made._once()
    assert made.slept == [7.0, pytest.approx(0.15)]
    assert made._contact.log == ["lost 429: later", "lost 500: x"]


async def test_an_optional_resource_that_is_missing_counts_as_empty(caplog: pytest.LogCaptureFixture) -> None:
    made = reflector(FakeClient(watches=[api_error(404, "404 page not found")] * 3), needed=False)
    for _ in range(3):
        await made._once()
    assert made._sink.synced == {Resource.SERVICE} and made._sink.calls["end"] == 1
    assert caplog.text.count("continuing without") == 1 and made.slept == [45.0] * 3
