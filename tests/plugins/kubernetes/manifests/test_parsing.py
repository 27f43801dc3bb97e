"""Manifests as text: objects with their lines, and errors that say where."""

from __future__ import annotations

import json

import pytest

from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.manifests.parsing import parse_manifests
from fastdns.plugins.kubernetes.sink import Resource
from tests.plugins.kubernetes.manifests.test_source import service


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a: [1\nb: 2\n", "f:2 - not valid YAML: ", id="no YAML"),
        pytest.param("a: 1\n\tb: 2\n", "f:2 - not valid YAML: ", id="a tab"),
        pytest.param("a: *nobody\n", "f:1 - not valid YAML: ", id="an unknown alias"),
        pytest.param("a: !!python/object:os.system x\n", "f:1 - not valid YAML: ", id="a tag that is not safe"),
        pytest.param(
            "é: é\na: \x01\n",
            "f:2 - not valid YAML: character #x01, control characters are not allowed",
            id="a control character",
        ),
        pytest.param("just text\n", "f:1 - an object with apiVersion, kind and metadata expected", id="a scalar"),
        pytest.param("- 1\n- 2\n", "f:1 - an object with apiVersion, kind and metadata expected", id="a sequence"),
        pytest.param("---\na: 1\n---\nb: 2\n", "f:2 - apiVersion and kind expected", id="no kind"),
        pytest.param("kind: Service\nmetadata: {name: a}\n", "f:1 - apiVersion and kind expected", id="no version"),
        pytest.param(
            "apiVersion: v2\nkind: Service\n", "f:1 - Service of apiVersion 'v2' is not known", id="another version"
        ),
        pytest.param(
            "apiVersion: discovery.k8s.io/v1\nkind: Service\n",
            "f:1 - Service of apiVersion 'discovery.k8s.io/v1' is not known",
            id="another group",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Service\n", "f:1 - Service: Object missing required field `metadata`", id="bare"
        ),
        pytest.param(
            "apiVersion: v1\nkind: Service\nmetadata: {namespace: a}\n",
            "f:1 - Service: metadata.name expected",
            id="no name",
        ),
        pytest.param(
            service("good") + "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: 5\n",
            "f:10 - Service: Expected `str`, got `int` at `$.metadata.name`",
            id="a number as a name",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  ports:\n  - port: 80\n  - port: http\n",
            "f:8 - Service: Expected `int | null`, got `str` at `$.spec.ports[1].port`",
            id="the second port",
        ),
        pytest.param(
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    labels: [a]\n",
            "f:7 - Pod: Expected `object | null`, got `array` at `$.metadata.labels`",
            id="in a list",
        ),
        pytest.param("\n[" * 200_000, "f:101 - not valid YAML: nested deeper than 100", id="too deep"),
        pytest.param("---\na: 1\nb: !!int one\n", "f:2 - not valid YAML: invalid literal", id="no number"),
        pytest.param("a: !!bool maybe\n", "f:1 - not valid YAML: 'maybe'", id="no truth"),
        pytest.param("a: !!null\nb: !!int ''\n", "f:1 - not valid YAML: ", id="an empty number"),
        pytest.param("a: !!timestamp noon\n", "f:1 - not valid YAML: ", id="no time"),
        pytest.param(f"a: {'1' * 5000}\n", "f:1 - not valid YAML: ", id="a number without end"),
        pytest.param("kind: List\nitems: 5\n", "f:2 - items: a list of objects expected", id="a number as items"),
        pytest.param("kind: List\nitems: {a: 1}\n", "f:2 - items: a list of objects expected", id="a map as items"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, says: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_manifests(text, "f")
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "---\n---\n",
        "# nothing\n",
        "null\n",
        "apiVersion: v1\nkind: List\nitems: []\n",
        "apiVersion: v1\nkind: List\nitems:\n",
    ],
)
def test_nothing_is_no_error(text: str) -> None:
    assert parse_manifests(text, "f") == []


def test_kinds_that_count() -> None:
    text = "".join(
        f"---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: n{index}}}\n"
        for index, (version, kind) in enumerate(
            [
                ("v1", "Service"),
                ("apps/v1", "Deployment"),
                ("v1", "Namespace"),
                ("v1", "Pod"),
                ("discovery.k8s.io/v1", "EndpointSlice"),
                ("v1", "ConfigMap"),
                ("multicluster.x-k8s.io/v1alpha1", "ServiceImport"),
                ("example.org/v1", "Widget"),
            ]
        )
    )
    assert [(found.key, found.where) for found in parse_manifests(text, "f")] == [
        ((Resource.SERVICE, "default", "n0"), "f:2"),
        ((Resource.NAMESPACE, "", "n2"), "f:10"),
        ((Resource.POD, "default", "n3"), "f:14"),
        ((Resource.SLICE, "default", "n4"), "f:18"),
        ((Resource.IMPORT, "default", "n6"), "f:26"),
    ]


def test_slices_of_an_import_are_known_by_their_label() -> None:
    (found,) = parse_manifests(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        "metadata: {name: a, labels: {multicluster.kubernetes.io/service-name: a}}\n",
        "f",
    )
    assert found.key[0] == Resource.IMPORT_SLICE


def test_lists_of_any_kind_are_unfolded_and_json_is_yaml() -> None:
    items = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"clusterIP": "10.0.0.1"}}
        for name in "ab"
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "ServiceList", "items": items}, indent=1)
    assert [found.key[2] for found in parse_manifests(text, "f")] == ["a", "b"]


def test_values_that_yaml_likes_to_guess() -> None:
    """Dates stay text, and None is a word."""
    (found,) = parse_manifests(
        "apiVersion: v1\nkind: Service\nspec: {clusterIP: None, clusterIPs: [None]}\n"
        "metadata:\n  name: a\n  deletionTimestamp: 2026-01-02T03:04:05Z\n",
        "f",
    )
    assert found.obj.metadata.deletionTimestamp == "2026-01-02T03:04:05Z"
    assert found.obj.spec.clusterIPs == ["None"]  # type: ignore[union-attr]
