"""The image: what the Dockerfile makes of deploy/image, what goes into it, and how it is run to be measured."""

from __future__ import annotations

import json
import re
import shutil
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.tools import image, sbom
from deploy.tools.bundle import Mount, container, quantity, seccomp
from deploy.tools.debian import Package
from deploy.tools.libraries import closure, needed

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", "")
DEPLOYMENT = ROOT / "deploy" / "kustomize" / "deployment" / "deployment.yaml"
POD: dict[str, Any] = yaml.safe_load(DEPLOYMENT.read_text())["spec"]["template"]["spec"]
PACKAGES = [Package("libc6", "2.41-12+deb13u5", "amd64", "Package: libc6\n")]


def test_the_image_is_scratch_with_what_was_made_and_runs_as_nobody_special() -> None:
    build, last = DOCKERFILE.split("\nFROM ")[1:]
    assert "deploy/image" in build and f"BASE=debian:{image.RELEASE}-slim" in DOCKERFILE
    lines = last.splitlines()
    assert lines[0] == "scratch"
    assert "COPY --from=build /image/ /" in lines
    # It has no shell to run it.
    assert not any(line.startswith("RUN") for line in lines)
    assert f"USER {image.USER}:{image.USER}" in lines
    assert lines[-1] == 'ENTRYPOINT ["/fastdns"]'


def test_labels_are_those_of_the_open_container_initiative() -> None:
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", DOCKERFILE))
    assert labels == {
        "title", "description", "licenses", "source", "documentation", "version", "revision", "created",
    }  # fmt: skip


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").touch()
    monkeypatch.setattr(sys, "argv", ["image", str(tmp_path)])
    with pytest.raises(SystemExit, match="has other files than an image's"):
        image.main()
    assert (tmp_path / "mine").exists()


def test_commands_start_the_interpreter_in_isolation(tmp_path: Path) -> None:
    """Otherwise PYTHONPATH and the like in a pod's environment would say which code runs."""
    image.write_start(tmp_path)
    for name in ("fastdns", "coredns"):
        assert (tmp_path / name).read_text().splitlines()[0] == f"#!/usr/bin/python{image.PYTHON} -IB"


def test_the_capability_of_the_interpreter() -> None:
    magic, permitted, inheritable, *high = struct.unpack("<5I", image.NET_BIND_SERVICE)
    # linux/capability.h: VFS_CAP_REVISION_2 and VFS_CAP_FLAGS_EFFECTIVE; CAP_NET_BIND_SERVICE is 10.
    assert (magic, permitted, inheritable, high) == (0x02000000 | 1, 1 << 10, 0, [0, 0])


def test_what_is_unused_is_removed_and_nothing_else(tmp_path: Path) -> None:
    unused = ("test/a.py", "lib-dynload/_lzma.so", "site/x/tests/t.py")
    for name in ("json/__init__.py", "lib-dynload/_json.so", *unused):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "idlelib").symlink_to("json")
    image.remove(tmp_path, image.UNUSED)
    image.remove(tmp_path / "site", image.SOURCES, below=True)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir())
    assert left == ["json/__init__.py", "lib-dynload/_json.so"]


def test_owners_modes_and_times_do_not_depend_on_who_makes_it(tmp_path: Path) -> None:
    for name in ("usr/bin/python" + image.PYTHON, "usr/lib/module.py", "fastdns"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "var/lib/fastdns").mkdir(parents=True)
    image.finish(tmp_path, 1_000_000)
    modes = {name: (tmp_path / name).stat().st_mode & 0o7777 for name in ("fastdns", "usr/lib/module.py", "tmp")}
    assert modes == {"fastdns": 0o755, "usr/lib/module.py": 0o644, "tmp": 0o1777}
    assert {path.lstat().st_mtime for path in (tmp_path, *tmp_path.rglob("*"))} == {1_000_000}


def distribution(site: Path, name: str, version: str, more: str = "") -> None:
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{more}")


@pytest.fixture
def bill(tmp_path: Path) -> dict[str, Any]:
    distribution(tmp_path, "fastdns", "0.1.0", "License-Expression: Apache-2.0\n")
    distribution(tmp_path, "prometheus_client", "0.26.0", "Classifier: License :: OSI Approved :: BSD License\n")
    distribution(tmp_path, "quiet", "1.0+x")
    return sbom.bill(tmp_path, PACKAGES, "amd64", "trixie", 1_000_000)


def test_the_bill_names_packages_of_python_and_debian(bill: dict[str, Any]) -> None:
    assert [one["purl"] for one in bill["components"]] == [
        "pkg:pypi/fastdns@0.1.0",
        "pkg:deb/debian/libc6@2.41-12%2Bdeb13u5?arch=amd64&distro=trixie",
        "pkg:pypi/prometheus-client@0.26.0",
        "pkg:pypi/quiet@1.0%2Bx",
    ]
    said = {one["name"]: one.get("licenses") for one in bill["components"]}
    assert said["fastdns"] == [{"expression": "Apache-2.0"}]
    assert said["prometheus_client"] == [{"license": {"name": "BSD License"}}]
    assert said["quiet"] is None
    assert bill["metadata"]["timestamp"] == "1970-01-12T13:46:40Z"


def test_the_same_content_gives_the_same_bill(bill: dict[str, Any], tmp_path: Path) -> None:
    again = sbom.bill(tmp_path, PACKAGES, "amd64", "trixie", 1_000_000)
    assert sbom.text(again) == sbom.text(bill)
    other = sbom.bill(tmp_path, PACKAGES, "arm64", "trixie", 1_000_000)
    assert other["serialNumber"] != bill["serialNumber"]


def test_the_bill_is_what_the_standard_takes(bill: dict[str, Any]) -> None:
    schema = pytest.importorskip("cyclonedx.schema", reason="pip install 'cyclonedx-python-lib[json-validation]'")
    validation = pytest.importorskip("cyclonedx.validation.json")
    found = validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(json.dumps(bill))
    assert found is None


def test_libraries_of_a_program_are_found_with_theirs(tmp_path: Path) -> None:
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not installed")
    python = Path(sys.executable).resolve()
    asked = needed([python])[python]
    assert any(name.startswith("libc.so") for name in asked)
    # Nothing is there: each is missing, and none is looked into.
    assert closure([python], tmp_path)[0] == set()
    assert python in closure([python], tmp_path)[1]


MOUNTS = [Mount(Path("/a"), "/etc/coredns"), Mount(Path("/b"), "/var/lib/fastdns", writable=True)]


def test_the_container_has_what_the_manifest_says() -> None:
    made = container(POD, ["/coredns"], Path("/root"), MOUNTS, {"POD_NAMESPACE": "x"}, "group")
    process = made["process"]
    assert process["args"] == ["/coredns", "-conf", "/etc/coredns/Corefile"]
    assert process["user"] == {"uid": 65532, "gid": 65532, "additionalGids": [65532]}
    assert set(map(tuple, process["capabilities"].values())) == {("CAP_NET_BIND_SERVICE",)}
    assert process["noNewPrivileges"] and made["root"]["readonly"]
    assert made["linux"]["resources"] == {"memory": {"limit": 170 << 20}}
    assert "FASTDNS_WORKERS=4" in process["env"] and "POD_NAMESPACE=x" in process["env"]
    how = {one["destination"]: one.get("options", []) for one in made["mounts"]}
    assert "ro" in how["/etc/coredns"] and "rw" in how["/var/lib/fastdns"]


def test_a_manifest_that_drops_less_is_not_run() -> None:
    pod = json.loads(json.dumps(POD))
    pod["containers"][0]["securityContext"]["capabilities"]["drop"] = []
    with pytest.raises(ValueError, match="keeps a runtime's own capabilities"):
        container(pod, ["/coredns"], Path("/root"), [], {}, "group")


def test_quantities() -> None:
    assert [quantity(text) for text in ("1Ki", "170Mi", "2Gi")] == [1024, 170 << 20, 2 << 30]


def test_rules_of_other_rights_and_machines_are_left_out() -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [], "includes": {}, "excludes": {}},
            {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["bind"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_NET_BIND_SERVICE"]}},
            {"names": ["arm_only"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
            {"names": ["here"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "includes": {"arches": ["amd64"]}},
        ],
    }
    made = seccomp(profile, ["CAP_NET_BIND_SERVICE"], "x86_64")
    assert [rule["names"] for rule in made["syscalls"]] == [["read"], ["clone"], ["here"]]
    assert made["architectures"] == ["SCMP_ARCH_X86_64"] and made["syscalls"][-1]["errnoRet"] == 1
