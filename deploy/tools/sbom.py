"""What the image consists of, as CycloneDX 1.6: the packages of Python and of Debian that were put into it.

It is made of what is in the folder, not of what was asked for. The same content gives the same bytes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import Distribution, PackageMetadata, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deploy.tools.debian import Package

JSON = dict[str, Any]
# Names of classifiers that say a licence, beside what License-Expression says.
LICENCE = "License :: "


def python_url(name: str, version: str) -> str:
    """The package URL of a distribution."""
    return f"pkg:pypi/{name.lower().replace('_', '-')}@{quote(version, safe='')}"


def licences(metadata: PackageMetadata) -> list[JSON]:
    """CycloneDX's licences of a distribution: its expression, or what else it says."""
    said_by = metadata.json
    if expression := said_by.get("license_expression"):
        return [{"expression": expression}]
    said = [one.rpartition(" :: ")[2] for one in said_by.get("classifier", []) if one.startswith(LICENCE)]
    # Some write the whole text there.
    if not said and (text := str(said_by.get("license", "")).strip()) and "\n" not in text:
        said = [text]
    return [{"license": {"name": name}} for name in sorted(set(said))]


def of_python(one: Distribution) -> JSON:
    """The component of a distribution."""
    name, version = one.metadata["Name"], one.version
    component: JSON = {"type": "library", "name": name, "version": version, "purl": python_url(name, version)}
    component["bom-ref"] = component["purl"]
    if summary := one.metadata.json.get("summary"):
        component["description"] = summary
    if found := licences(one.metadata):
        component["licenses"] = found
    return component


def of_debian(package: Package, release: str) -> JSON:
    """The component of a package of Debian's."""
    where = f"arch={package.architecture}&distro={release}"
    url = f"pkg:deb/debian/{quote(package.name, safe='')}@{quote(package.version, safe='')}?{where}"
    return {
        "type": "library",
        "bom-ref": url,
        "name": package.name,
        "version": package.version,
        "purl": url,
    }


def bill(site: Path, packages: Iterable[Package], architecture: str, release: str, epoch_s: int) -> JSON:
    """The bill of materials of an image whose Python packages are in site."""
    python = [of_python(one) for one in distributions(path=[str(site)])]
    (own,) = [one for one in python if one["name"] == "fastdns"]
    components = [one for one in python if one is not own] + [of_debian(one, release) for one in packages]
    components.sort(key=lambda one: one["bom-ref"])
    image = {**own, "type": "container", "bom-ref": f"fastdns-image-{architecture}"}
    content: JSON = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": image,
            "properties": [{"name": "architecture", "value": architecture}],
        },
        "components": [own, *components],
        "dependencies": [
            {"ref": image["bom-ref"], "dependsOn": [one["bom-ref"] for one in (own, *components)]},
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    return {**content, "serialNumber": f"urn:uuid:{serial}"}


def text(content: JSON) -> str:
    """The file's text."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
