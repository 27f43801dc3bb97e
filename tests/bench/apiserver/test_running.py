"""Who may ask the test API server, how large and how lively its cluster is, and a process of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time

import aiohttp
import pytest

from fastdns.bench.apiserver import ApiServer, Churn, Store, endpoint, fill, slice_
from fastdns.bench.apiserver.process import Process
from tests.bench.apiserver.client import SERVICES, SLICES, Client


async def test_tls_tokens_and_certificates(tmp_path):
    async with ApiServer(directory=tmp_path) as server:
        client = Client(server)
        assert (await client.get(SERVICES))[0] == 200
        assert (await client.get(f"{SERVICES[:7]}/namespaces/default/services/x"))[0] == 403
        old = server.token
        server.rotate_token()
        assert (await client.get(SERVICES))[0] == 401
        assert server.token_file.read_text() == server.token != old
        await client.session.close()
        context = server.client_context()
        context.load_cert_chain(*server.client_certificate())
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(server.url, connector=connector) as session:
            async with session.get(f"{SERVICES[:7]}/namespaces/default/services/x") as response:
                assert (response.status, (await response.json())["reason"]) == (404, "NotFound")
            async with session.get("/nowhere") as response:
                assert response.status == 404
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(server.url + "/version")
            for path, code in (("/healthz", 200), ("/readyz", 200), ("/apis", 403)):
                async with session.get(server.url + path, ssl=server.client_context()) as response:
                    assert response.status == code


@pytest.mark.parametrize("how", ["token", "token_file", "cert", "exec"])
async def test_kubeconfigs_are_what_the_kubernetes_package_reads(tmp_path, how):
    from kubernetes import client, config

    store = Store()
    fill(store, services=5)
    async with ApiServer(store) as server:
        path = server.kubeconfig(tmp_path / "config", how=how, embed=how == "token")

        def ask() -> list[str]:
            api = client.CoreV1Api(config.new_client_from_config(str(path)))
            return [item.metadata.name for item in api.list_service_for_all_namespaces(limit=3).items]

        found = await asyncio.to_thread(ask)
        assert len(found) == 3
        environment = server.service_account(tmp_path / "mounted")
        assert environment["KUBERNETES_SERVICE_PORT"] == str(server.port)
        assert (tmp_path / "mounted" / "ca.crt").exists()


def test_the_same_seed_makes_the_same_cluster():
    stores = [Store(), Store(), Store()]
    for store, seed in zip(stores, (5, 5, 6), strict=True):
        fill(store, services=50, endpoints=120, seed=seed)
    dumps = [
        [(version.key, version.meta, version.rest) for version in store.tables["endpointslices"].current.values()]
        for store in stores
    ]
    assert dumps[0] == dumps[1] != dumps[2]
    sizes = [
        len(stores[0].get("endpointslices", *key.split("/"))["endpoints"])
        for key in stores[0].keys("endpointslices")
    ]
    assert set(sizes) == {100, 20}


async def test_churn_says_what_it_changed():
    store = Store()
    fill(store, services=50)
    log = await Churn(store, 1000).run(0.2)
    assert 100 < len(log) <= 200
    assert {"replaced", "unready", "service_added"} <= {change.what for change in log}
    last: dict[tuple[str, str], str] = {}
    for change in log:
        for address in filter(None, (change.added, change.removed)):
            if not change.what.startswith("service"):
                last[change.service, address] = "yes" if address == change.added else ""
    ready = set()
    for key in store.keys("endpointslices"):
        obj = store.get("endpointslices", *key.split("/"))
        owner = obj["metadata"]["labels"]["kubernetes.io/service-name"]
        ready |= {(owner, e["addresses"][0]) for e in obj["endpoints"] if e["conditions"]["ready"]}
    assert all((pair in ready) == bool(there) for pair, there in last.items())


async def test_a_large_cluster_is_filled_and_listed_quickly():
    store = Store()
    begin = time.process_time()
    fill(store, services=2000, endpoints=10)
    async with ApiServer(store, tls=False) as server:
        client = Client(server)
        response, body = await client.raw(SLICES)
        assert response.headers["Content-Encoding"] == "gzip"
        response, plain = await client.raw(SLICES, **{"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in response.headers and plain == body
        assert len(json.loads(body)["items"]) == store.count("endpointslices") == 2080
        await client.session.close()
    assert time.process_time() - begin < 4


def test_a_process_of_its_own_is_driven_through_its_control_endpoint(tmp_path):
    with Process(services=20, endpoints=2, tls=False, churn=200, kubeconfig=tmp_path / "kubeconfig") as process:
        assert process.kubeconfig == tmp_path / "kubeconfig"
        assert process.info["services"] == 20
        process.post(
            "put", endpoint_slice := slice_("mine", "zz", service="mine", endpoints=[endpoint("10.9.9.9")])
        )
        assert endpoint_slice["kind"] == "EndpointSlice"
        process.fault("error", resource="services")
        command = [
            "curl",
            "-s",
            "-H",
            f"Authorization: Bearer {process.info['token']}",
            process.url + SERVICES,
        ]
        answer = subprocess.run(command, capture_output=True, check=True).stdout
        assert json.loads(answer)["code"] == 500
        process.clear()
        assert process.get("requests")[0]["status"] == 500
        deadline = time.monotonic() + 5
        while not process.get("log") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.get("log")[0]["rv"] > 0
        process.post("replace", {"services": 3})
        assert process.get("state")["services"] == 3
