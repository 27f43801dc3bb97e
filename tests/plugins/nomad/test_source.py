"""The source without processes: agents of all kinds, and what they should not answer; the options."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import pytest

import fastdns.plugins.nomad.client as client_module
import fastdns.plugins.nomad.source as source_module
from fastdns.corefile import load
from fastdns.errors import FastdnsError
from fastdns.http import failover
from fastdns.memory._store import Store, Writer
from fastdns.metrics._stats import Stats
from fastdns.metrics.measured import WatcherMetrics
from fastdns.plugins.nomad._namespaces import Namespaces
from fastdns.plugins.nomad._step import NomadStep
from fastdns.plugins.nomad.client import Access
from fastdns.plugins.nomad.config import Config
from fastdns.plugins.nomad.metrics import COUNTERS, MEASURES, NUMBERS, families
from fastdns.plugins.nomad.plugin import plugin
from fastdns.plugins.nomad.source import NomadSource
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from tests.plugins.forward.certificates import Authority
from tests.plugins.nomad.agent import Agent, at

pytestmark = pytest.mark.native

NUMBER = 4
WEB = "web.default.n."


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once."""
    monkeypatch.setattr(failover, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(failover, "MOST_WAIT_S", 0.05)
    for name in ("NOMAD_ADDR", "NOMAD_TOKEN", "NOMAD_REGION"):
        monkeypatch.delenv(name, raising=False)


class Followed:
    """A source that runs, and a step on what it writes."""

    def __init__(self, *addresses: str, **options: Any) -> None:
        self.metrics = WatcherMetrics(MEASURES)
        self.store = Store(1 << 24)
        self.writer = Writer(self.store)
        self.namespaces = Namespaces()
        self.stats = Stats(2)
        step = NomadStep(
            source=NUMBER, zone=b"\1n\0", ttl_s=30, unread=1, first_counter=0, namespaces=self.namespaces
        )
        self.worker = Worker(ServerTable([(".", 0, 0)], [[step]]), self.store, 0, self.stats, 1)
        self.source = NomadSource(NUMBER, Config(addresses=addresses, **options), self.writer, self.metrics)

    async def __aenter__(self) -> Followed:
        self.task = asyncio.create_task(self.source.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def ask(self, name: str = WEB, kind: str = "A") -> tuple[str, list[str]]:
        """Code and data."""
        message = self.worker.serve(dns.message.make_query(name, kind).to_wire())
        assert message is not None
        reply = dns.message.from_wire(message)
        return dns.rcode.to_text(reply.rcode()), sorted(str(data) for rrset in reply.answer for data in rrset)

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not what():
                assert not self.task.done(), self.task.result()
                await asyncio.sleep(0.005)

    async def until_answer(self, *addresses: str, name: str = WEB) -> None:
        """Wait until a name has these addresses."""
        await self.until(lambda: self.ask(name)[1] == list(addresses))

    def counted(self, name: str) -> float:
        """A counter, all labels together."""
        return sum(values[0] for (of, _), values in self.metrics.series.items() if of == name)


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    with Agent() as agent:
        agent.set({("default", "web"): at("10.0.0.1")})
        yield agent


async def test_a_socket(tmp_path: Path) -> None:
    with Agent(path=str(tmp_path / "api.sock")) as agent:
        agent.set({("default", "web"): at("10.0.0.1")})
        async with Followed(agent.url) as followed:
            await followed.until_answer("10.0.0.1")


async def test_the_environment(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    agent.token = "of the environment"
    for name, value in {"ADDR": agent.url, "TOKEN": agent.token, "REGION": "far"}.items():
        monkeypatch.setenv(f"NOMAD_{name}", value)
    async with Followed() as followed:
        await followed.until_answer("10.0.0.1")
        assert {values.get("region") for _, values in agent.asked} == {"far"}
    # The Corefile comes first.
    async with Followed(token="another") as followed:
        await followed.until(lambda: "403" in followed.source.last_error)


async def test_tls(agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(*authority.issue("agent", ("agent.example",)))
    own.load_verify_locations(authority.ca)
    own.verify_mode = ssl.CERT_REQUIRED
    agent.server.socket = own.wrap_socket(agent.server.socket, server_side=True)
    url = agent.url.replace("http:", "https:")
    certificate, key = authority.issue("client")
    monkeypatch.setenv("NOMAD_CLIENT_CERT", str(certificate))
    monkeypatch.setenv("NOMAD_CLIENT_KEY", str(key))
    async with Followed(url) as followed:
        await followed.until(lambda: "certificate verify failed" in followed.source.last_error)
    monkeypatch.setenv("NOMAD_SKIP_VERIFY", "true")
    async with Followed(url) as followed:
        await followed.until_answer("10.0.0.1")
    monkeypatch.setenv("NOMAD_SKIP_VERIFY", "0")
    monkeypatch.setenv("NOMAD_CACERT", str(authority.ca))
    monkeypatch.setenv("NOMAD_TLS_SERVER_NAME", "agent.example")
    async with Followed(url) as followed:
        await followed.until_answer("10.0.0.1")


def test_what_the_environment_says() -> None:
    access = Access.of({"NOMAD_HTTP_AUTH": "me:secret"})
    assert access.address == "http://127.0.0.1:4646"
    assert access.headers("") == {"Accept": "application/json", "Authorization": "Basic bWU6c2VjcmV0"}
    assert access.headers("t")["X-Nomad-Token"] == "t"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v1/services", (500, b"no leader")), ("/v1/services", (200, b"")), ("/v1/services", (200, b"{}")),
        ("/v1/services", (200, b"[5]")), ("/v1/services", (200, b"[" * 100_000)),
        ("/v1/services", (200, b'[{"Namespace":"a","Services":[{"ServiceName":5}]}]')),
        ("/v1/services", (200, b"x" * 70_000)),
        ("/v1/service/", (500, b"\xff" * 5000)), ("/v1/service/", (200, b'[{"Port":"x"}]')),
    ],
)  # fmt: skip
async def test_what_is_no_answer(
    agent: Agent, path: str, answer: tuple[int, bytes], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """What was read stays, and the next answer that is right is taken."""
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 50_000)
    async with Followed(agent.url) as followed:
        await followed.until_answer("10.0.0.1")
        agent.play = lambda asked: answer if asked.startswith(path) else None
        agent.set({("default", "web"): at("10.0.0.2")})
        await followed.until(lambda: followed.counted("fastdns_nomad_errors_total") > 1)
        assert followed.ask() == ("NOERROR", ["10.0.0.1"])
        agent.play = lambda asked: None
        await followed.until_answer("10.0.0.2")
    assert caplog.text.count("what was read last is served") == 1
    assert max(map(len, caplog.text.splitlines())) < 1000


async def test_before_anything_was_read(agent: Agent) -> None:
    agent.play = lambda asked: (500, b"")
    async with Followed(agent.url) as followed:
        await followed.until(lambda: followed.counted("fastdns_nomad_errors_total"))
        assert followed.ask() == ("SERVFAIL", [])
        # An empty cluster is known.
        agent.play = lambda asked: (200, b"null")
        await followed.until(lambda: followed.ask() == ("NXDOMAIN", []))


@pytest.mark.parametrize("index", [0, 7], ids=["without an index", "that does not wait"])
async def test_an_agent(index: int, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked now and then, not all the time."""
    pauses: list[float] = []
    enough = asyncio.Event()
    sleep = asyncio.sleep

    async def sleeping(wait_s: float) -> None:
        pauses.append(wait_s)
        if len(pauses) == 4:
            enough.set()
        await sleep(0)

    agent.index = index
    agent.ended = True
    monkeypatch.setattr(source_module.asyncio, "sleep", sleeping)
    async with Followed(agent.url):
        await asyncio.wait_for(enough.wait(), 10)
    assert min(pauses[1:4]) > 0.5


async def test_an_index_that_goes_back(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that was restored from an older state."""
    monkeypatch.setattr(source_module, "IDLE_PAUSE_S", 0.01)
    agent.index = 1000
    async with Followed(agent.url) as followed:
        await followed.until_answer("10.0.0.1")
        agent.index = 5
        agent.ended = True
        agent.set({("default", "web"): at("10.0.0.7")})
        await followed.until_answer("10.0.0.7")


async def test_too_many_services(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(source_module, "MAX_SERVICES", 2)
    async with Followed(agent.url) as followed:
        await followed.until_answer("10.0.0.1")
        agent.set({("default", f"s{number}"): at("10.0.0.1") for number in range(3)})
        await followed.until(lambda: "there are 3 services; at most 2" in caplog.text)
        assert followed.ask() == ("NOERROR", ["10.0.0.1"])


async def test_many_instances_that_cannot_be_served(agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    agent.set(
        {("default", f"s{number}"): at("none") for number in range(40)} | {("default", "web"): at("10.0.0.1")}
    )
    async with Followed(agent.url) as followed:
        await followed.until_answer("10.0.0.1")
        assert followed.counted("fastdns_nomad_left_out_total") == 40
        assert "31 more are left out" in caplog.text
        said = len(caplog.records)
        listings = followed.counted("fastdns_nomad_listings_total")
        agent.set(dict(agent.services))
        await followed.until(lambda: followed.counted("fastdns_nomad_listings_total") > listings)
        assert len(caplog.records) == said, "once"


async def test_more_namespaces_than_are_counted(agent: Agent) -> None:
    spaces = [f"n{number}" for number in range(20)]
    agent.set({(space, "web"): at("10.0.0.1") for space in spaces})
    async with Followed(agent.url) as followed:
        await followed.until(lambda: followed.store.source(NUMBER)[0])
        for space in spaces:
            followed.ask(f"web.{space}.n.")
            followed.ask(f"none.{space}.n.")
    values = followed.stats.zone_values([1], 0)
    assert values is not None
    found = list(families(followed.namespaces.names(), [(("s", "z", ""), values)], 0))
    success, failed = ({sample.labels["namespace"]: sample.value for sample in family.samples} for family in found)
    assert len(success) == NUMBERS
    assert success["n0"] == failed["n0"] == 1
    assert success[""] == failed[""] == 5
    assert len(COUNTERS) == 2 * NUMBERS


# --------------------------------------------------------------------------------------------------- options


def config(options: str, zone: str = "") -> Config:
    found = load(f"n {{\n    nomad {zone} {{\n{options}\n    }}\n}}\n").blocks[0].plugins["nomad"]
    assert isinstance(found, Config)
    return found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {}),
        (
            "address http://a:1 https://b\naddress unix:///c",
            {"addresses": ("http://a:1", "https://b", "unix:///c")},
        ),
        ('filter "Tags contains \\"x\\""', {"filter": 'Tags contains "x"'}),
        ("token a\nTTL 0", {"token": "a", "ttl_s": 0}),
    ],
)
def test_options(options: str, expected: dict[str, Any]) -> None:
    assert config(options) == Config("service.nomad.", **expected)
    assert config(options, "Some.Zone").zone == "some.zone."


@pytest.mark.parametrize(
    ("options", "zone", "message"),
    [
        ("", "a b", "expected at most one argument"),
        ("", "10.0.0.0/7", "is several zones; expected one"),
        ("address", "", "expected at least one argument"),
        ("address 127.0.0.1:4646", "", "is no address; one looks like http://127.0.0.1:4646"),
        ("address unix://", "", "is no address"),
        ("address http://a:99999", "", "is no address"),
        ("filter a b", "", "expected one argument"),
        ("token", "", "expected one argument"),
        ("ttl 3601", "", "ttl must be a whole number from 0 to 3600, got 3601"),
        ("ttl 5s", "", "ttl must be a whole number from 0 to 3600, got '5s'"),
        ("region x", "", "unknown option 'region'"),
    ],
)
def test_mistakes(options: str, zone: str, message: str) -> None:
    with pytest.raises(FastdnsError) as error:
        config(options, zone)
    assert message in str(error.value)
    assert "plugin/nomad: Corefile:" in str(error.value)


def test_blocks_share_a_source_where_only_the_step_differs() -> None:
    assert plugin.source_identity(config("ttl 5", "a")) == plugin.source_identity(config("", "b"))
    assert plugin.source_identity(config("filter x")) != plugin.source_identity(config(""))
