"""Kubernetes objects in YAML, each with the file and the line where it stands.

A file holds any number of documents; ``kind: List`` is unfolded. Service, EndpointSlice, Namespace, Pod and
ServiceImport count, other kinds are skipped. An object without namespace is in ``default``. What is no object is a
SourceError with file and line. A field that cannot be served is left out alone, and noted with its line.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml

from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.manifests.validity import mend
from fastdns.plugins.kubernetes.objects import TYPES, KubernetesObject
from fastdns.plugins.kubernetes.sink import Resource

log = logging.getLogger("plugin/kubernetes")

MAX_DEPTH = 100
TOO_DEEP = f"nested deeper than {MAX_DEPTH}"
# libyaml since 0.2.6, where its look ahead meets what is deeper than its own limit.
LIBRARY_TOO_DEEP = "exceeded maximum nesting depth"

MULTICLUSTER_LABEL = "multicluster.kubernetes.io/service-name"
KINDS = {
    ("v1", "Service"): Resource.SERVICE,
    ("v1", "Namespace"): Resource.NAMESPACE,
    ("v1", "Pod"): Resource.POD,
    ("discovery.k8s.io", "EndpointSlice"): Resource.SLICE,
    ("multicluster.x-k8s.io", "ServiceImport"): Resource.IMPORT,
}
NAMES = {kind for _, kind in KINDS}

Key = tuple[Resource, str, str]


class Loader(yaml.CSafeLoader):
    """Safe YAML in which a date stays text, as Kubernetes reads it. The C library recurses without a bound."""

    depth = 0

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=current_node.start_mark)

    def ascend_resolver(self) -> None:
        self.depth -= 1


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A field that is not served. field: of which object; where: file and line; what: what it is one of."""

    resource: Resource
    field: str
    where: str
    text: str
    what: str


@dataclass(frozen=True, slots=True)
class Found:
    """One object, where it stands, and what of it is left out."""

    key: Key
    obj: KubernetesObject
    where: str
    left_out: tuple[LeftOut, ...] = ()


def line_of(node: Any, path: str) -> int:
    """The line of what a validation error's path (``$.spec.ports[0].port``) leads to, as far as it leads."""
    line = int(node.start_mark.line) + 1
    for name, index in re.findall(r"\.([A-Za-z0-9_-]+)|\[(\d+|\.\.\.)\]", path):
        if name and isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == name:
                    node, line = value, int(key.start_mark.line) + 1
                    break
            else:
                break
        elif index.isdigit() and isinstance(node, yaml.SequenceNode) and int(index) < len(node.value):
            node = node.value[int(index)]
            line = int(node.start_mark.line) + 1
        else:
            break
    return line


def decoded(data: bytes, path: Path) -> str:
    """A file's text. Raises SourceError with file and line where it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{path}:{line} - not UTF-8: {error.reason}, 0x{data[error.start]:02x}") from None


def documents(text: str, file: str) -> Iterator[tuple[Any, Any]]:
    """(content, node) of each document, lists unfolded. Raises SourceError with file and line."""
    loader = Loader(text)
    line = 1
    try:
        while loader.check_node():
            node = loader.get_node()
            line = cast(Any, node).start_mark.line + 1
            content = loader.construct_document(node)
            if isinstance(content, dict) and str(content.get("kind", "")).endswith("List") and "items" in content:
                items = next(value for key, value in cast(Any, node).value if key.value == "items")
                if not isinstance(content["items"], list | None):
                    raise SourceError(f"{file}:{items.start_mark.line + 1} - items: a list of objects expected")
                yield from zip(content["items"] or (), items.value, strict=False)
            elif content is not None:
                yield content, node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else line
        problem = error.problem or error.context
        if problem == LIBRARY_TOO_DEEP:
            problem = TOO_DEEP
        raise SourceError(f"{file}:{line} - not valid YAML: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        problem = f"character #x{error.character:02x}, {error.reason}"
        raise SourceError(f"{file}:{line} - not valid YAML: {problem}") from None
    except SourceError:
        raise
    # A value that its tag does not allow (!!int x, !!bool x, a number of too many digits) raises anything at all.
    except Exception as error:
        raise SourceError(f"{file}:{line} - not valid YAML: {error}") from None
    finally:
        loader.dispose()


def resource_of(content: dict[str, Any], where: str) -> Resource | None:
    """The resource that an object is of, or None where it is nothing to DNS. Raises SourceError."""
    kind = content.get("kind")
    version = content.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(version, str):
        raise SourceError(f"{where} - apiVersion and kind expected")
    resource = KINDS.get((version if version == "v1" else version.partition("/")[0], kind))
    if resource is None and kind in NAMES:
        raise SourceError(f"{where} - {kind} of apiVersion {version!r} is not known")
    return resource


def parse_manifests(text: str, file: str) -> list[Found]:
    """Every object of one file. Raises SourceError with file and line."""
    found: list[Found] = []
    for content, node in documents(text, file):
        where = f"{file}:{node.start_mark.line + 1}"
        if not isinstance(content, dict):
            raise SourceError(f"{where} - an object with apiVersion, kind and metadata expected")
        resource = resource_of(content, where)
        if resource is None:
            log.debug("%s: the kind %s is not used for DNS", where, content.get("kind"))
            continue
        try:
            obj = msgspec.convert(content, TYPES[resource])
        except msgspec.ValidationError as error:
            problem, _, path = str(error).partition(" - at ")
            line = line_of(node, path.strip("`"))
            at = f" at {path}" if path else ""
            raise SourceError(f"{file}:{line} - {content['kind']}: {problem}{at}") from None
        if not obj.metadata.name:
            raise SourceError(f"{where} - {content['kind']}: metadata.name expected")
        if resource == Resource.NAMESPACE:
            obj.metadata.namespace = ""
        else:
            obj.metadata.namespace = obj.metadata.namespace or "default"
        if resource == Resource.SLICE and MULTICLUSTER_LABEL in (obj.metadata.labels or {}):
            resource = Resource.IMPORT_SLICE
        namespace, name = obj.metadata.namespace, obj.metadata.name
        whose = f"{content['kind']} {namespace}/{name}" if namespace else f"{content['kind']} {name}"
        left_out = tuple(
            LeftOut(
                resource,
                f"{whose}: {problem.path}",
                f"{file}:{line_of(node, f'$.{problem.path}')}",
                problem.text,
                problem.what,
            )
            for problem in mend(resource, obj)
        )
        found.append(Found((resource, namespace, name), obj, where, left_out))
    return found
