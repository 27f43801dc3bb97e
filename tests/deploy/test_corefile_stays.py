"""The chart never overwrites a Corefile that it did not write: helm looks at a cluster, here a small API server."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.deploy.objects import Object, named, read_objects
from tests.deploy.render import CHART, KUBERNETES, RefusedError, chart, helm

PATH = "/api/v1/namespaces/kube-system/configmaps/coredns"
DISCOVERY = {
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [{"name": "configmaps", "namespaced": True, "kind": "ConfigMap", "verbs": ["get"]}],
    }
}
THEIRS = {"Corefile": ".:53 {\n    whoami\n}\n"}


@contextmanager
def cluster(configmap: Object | None) -> Iterator[str]:
    """The URL of an API server that has this ConfigMap, or none."""
    there = {**DISCOVERY, **({PATH: configmap} if configmap else {})}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = there.get(self.path.partition("?")[0])
            body = json.dumps(found or {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404})
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def configmap(data: dict[str, str], **annotations: str) -> Object:
    """The ConfigMap of a cluster."""
    metadata = {"name": "coredns", "namespace": "kube-system", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def upgrade(there: Object | None, *settings: str) -> list[Object]:
    """What ``helm upgrade coredns`` would apply in a cluster that has this ConfigMap."""
    words = [word for one in settings for word in ("--set", one)]
    with cluster(there) as url:
        rendered = helm(
            "template", "coredns", CHART, "--namespace", "kube-system", "--kube-version", KUBERNETES,
            "--dry-run=server", "--kube-apiserver", url, "--kubeconfig", "/dev/null", *words,
        )  # fmt: skip
    return read_objects(rendered)


def written() -> Object:
    """The ConfigMap as the chart writes it."""
    return named(chart(), "ConfigMap")


def kinds(objects: list[Object]) -> set[str]:
    """The kinds of objects."""
    return {one["kind"] for one in objects}


def test_a_cluster_without_a_corefile_gets_one() -> None:
    assert named(upgrade(None), "ConfigMap") == written()


def test_a_corefile_of_another_stays() -> None:
    with pytest.raises(RefusedError) as refused:
        upgrade(configmap(THEIRS))
    said = str(refused.value)
    assert "ConfigMap kube-system/coredns has a Corefile that this chart did not write, and it stays." in said
    assert "existingConfigMap=coredns" in said and "overwriteCorefile=true" in said


def test_what_the_chart_wrote_is_upgraded() -> None:
    changed = named(upgrade(written(), "extraConfig.import.parameters=more"), "ConfigMap")
    assert changed["data"] != written()["data"]


def test_an_edit_of_what_the_chart_wrote_stays() -> None:
    edited = written()
    edited["data"]["Corefile"] = edited["data"]["Corefile"].replace("cache 30", "cache 60")
    with pytest.raises(RefusedError, match="and it stays"):
        upgrade(edited)
    edited = written()
    edited["data"]["db.example"] = "a zone"
    with pytest.raises(RefusedError, match="and it stays"):
        upgrade(edited)


def test_an_edit_that_the_values_have_too_is_no_conflict() -> None:
    """It was made in the cluster first, and then in the values."""
    edited = named(chart(None, "extraConfig.import.parameters=more"), "ConfigMap")
    edited["metadata"]["annotations"] = written()["metadata"]["annotations"]
    assert named(upgrade(edited, "extraConfig.import.parameters=more"), "ConfigMap")["data"] == edited["data"]


def test_a_corefile_is_overwritten_if_the_operator_says_so() -> None:
    assert named(upgrade(configmap(THEIRS), "overwriteCorefile=true"), "ConfigMap") == written()


@pytest.mark.parametrize("setting", ["existingConfigMap=coredns", "deployment.skipConfig=true"])
def test_a_corefile_is_served_as_it_is_if_the_operator_says_so(setting: str) -> None:
    objects = upgrade(configmap(THEIRS), setting)
    assert "ConfigMap" not in kinds(objects)
    volumes = named(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    # With all its keys: a Corefile may import others of them.
    assert volumes[0] == {"name": "config-volume", "configMap": {"name": "coredns"}}


def test_helm_does_not_delete_the_corefile_of_a_release_that_no_longer_has_it() -> None:
    """Helm deletes what the last release had and this one has not, unless it is annotated."""
    of_release = {"meta.helm.sh/release-name": "coredns"}
    with pytest.raises(RefusedError, match=r"annotate configmap coredns helm\.sh/resource-policy=keep"):
        upgrade(configmap(THEIRS, **of_release), "existingConfigMap=coredns")
    kept = configmap(THEIRS, **of_release, **{"helm.sh/resource-policy": "keep"})
    assert "ConfigMap" not in kinds(upgrade(kept, "existingConfigMap=coredns"))


def test_an_uninstall_leaves_the_corefile() -> None:
    annotations = written()["metadata"]["annotations"]
    assert annotations["helm.sh/resource-policy"] == "keep"
    data = json.dumps(written()["data"], sort_keys=True, separators=(",", ":"))
    assert annotations["fastdns/data-sha256"] == hashlib.sha256(data.encode()).hexdigest()
