"""Plain kubeconfigs are read as the kubernetes package reads them; all others are left to it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.api import connection
from fastdns.plugins.kubernetes.api.connection import from_kubeconfig
from fastdns.plugins.kubernetes.api.kubeconfig import NotPlain, read_plain
from fastdns.plugins.kubernetes.api.package import ask_package

PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
DATA = base64.b64encode(PEM.encode()).decode()
HTTPS = {"server": "https://api.test:6443/"}


def config(cluster: Any = HTTPS, user: Any = None, **more: Any) -> dict[str, Any]:
    """A kubeconfig with a context x, and a second one."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "clusters": [{"name": "c", "cluster": cluster}, {"name": "d", "cluster": {"server": "http://other"}}],
        "users": [{"name": "u", "user": {} if user is None else user}, {"name": "v", "user": {"token": "v"}}],
        "contexts": [
            {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "n"}},
            {"name": "y", "context": {"cluster": "d", "user": "v"}},
            {"name": "z", "context": {"cluster": "d"}},
        ],
        "current-context": "x",
        **more,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the files are that kubeconfigs name."""
    (tmp_path / "sub").mkdir()
    for name in ("ca.crt", "sub/client.crt", "client.key"):
        (tmp_path / name).write_text(PEM)
    (tmp_path / "token").write_text("secret\n")
    return tmp_path


PLAIN: list[tuple[str, dict[str, Any], str | None]] = [
    ("a token", config(HTTPS | {"certificate-authority-data": DATA}, {"token": "t"}), None),
    ("a token file", config(HTTPS, {"tokenFile": "token"}), None),
    ("a token beside its file", config(HTTPS, {"token": "t", "tokenFile": "absent"}), None),
    ("a certificate", config(HTTPS, {"client-certificate-data": DATA, "client-key-data": DATA}), None),
    (
        "files",
        config(
            HTTPS | {"certificate-authority": "ca.crt"},
            {"client-certificate": "./sub/../sub/client.crt", "client-key": "client.key"},
        ),
        None,
    ),
    (
        "data before files",
        config(HTTPS | {"certificate-authority": "absent", "certificate-authority-data": DATA}),
        None,
    ),
    ("nobody", config(), None),
    ("nobody by name", config(), "z"),
    ("another context", config(), "y"),
    ("plain HTTP, nothing else is read", config({"server": "http://h:1//", "certificate-authority": "no"}), None),
    ("unverified", config(HTTPS | {"insecure-skip-tls-verify": True, "tls-server-name": "kubernetes"}), None),
    ("verified", config(HTTPS | {"insecure-skip-tls-verify": False}), None),
]


@pytest.mark.parametrize(("content", "context"), [c[1:] for c in PLAIN], ids=[c[0] for c in PLAIN])
async def test_plain_ones_are_read_alike(folder: Path, content: dict[str, Any], context: str | None) -> None:
    path = folder / "config"
    path.write_text(yaml.safe_dump(content))
    assert read_plain(path, context) == await ask_package(path, context)


OTHERS: list[tuple[str, dict[str, Any], str | None]] = [
    ("a plugin", config(HTTPS, {"exec": {"command": "true"}}), None),
    ("a plugin beside a token", config(HTTPS, {"token": "t", "auth-provider": {"name": "gcp"}}), None),
    ("a password", config(HTTPS, {"username": "u", "password": "p"}), None),
    ("impersonation", config(HTTPS, {"token": "t", "as": "other"}), None),
    ("a proxy", config(HTTPS | {"proxy-url": "http://proxy:3128"}), None),
    ("a number for a name", config({"server": 1}), None),
    ("a text for a boolean", config(HTTPS | {"insecure-skip-tls-verify": "false"}), None),
    ("no server", config({}), None),
    ("no user of that name", config(users=[]), None),
    ("two users of that name", config(users=[{"name": "u", "user": {}}] * 2), None),
    ("no such context", config(), "other"),
    ("no current context", config(**{"current-context": ""}), None),
    ("no list", config(contexts={"x": {}}), None),
    ("an absent file", config(HTTPS | {"certificate-authority": "absent"}), None),
    ("no base64", config(HTTPS | {"certificate-authority-data": "%%%"}), None),
    ("an empty token", config(HTTPS, {"token": ""}), None),
    ("an absent token file", config(HTTPS, {"tokenFile": "absent"}), None),
]


@pytest.mark.parametrize(("content", "context"), [c[1:] for c in OTHERS], ids=[c[0] for c in OTHERS])
def test_others_are_left_to_the_package(folder: Path, content: dict[str, Any], context: str | None) -> None:
    path = folder / "config"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(NotPlain, match=r"."):
        read_plain(path, context)


@pytest.mark.parametrize("text", ["", "[]", "clusters: {", "\x00", "a: *b", "1: 2"])
def test_what_is_no_kubeconfig_is_left_to_the_package(folder: Path, text: str) -> None:
    (folder / "config").write_text(text)
    with pytest.raises(NotPlain, match=r"."):
        read_plain(folder / "config", None)


def test_a_list_of_files_is_left_to_the_package(folder: Path) -> None:
    path = folder / "one:two"
    path.write_text(yaml.safe_dump(config()))
    with pytest.raises(NotPlain, match="a list"):
        read_plain(path, None)


async def test_the_package_says_what_is_wrong(folder: Path) -> None:
    (folder / "config").write_text(yaml.safe_dump(config(HTTPS | {"certificate-authority": "absent"})))
    with pytest.raises(SourceError, match="File does not exist"):
        await ask_package(folder / "config", None)


WITHOUT: list[tuple[dict[str, Any], str]] = [
    (config(HTTPS, {"exec": {"command": "true"}}), "its user has exec"),
    (config(HTTPS | {"proxy-url": "http://proxy:3128"}), "its cluster has proxy-url"),
    (config(HTTPS | {"certificate-authority": "absent"}), "absent"),
    (config(HTTPS | {"certificate-authority-data": "%%%"}), "certificate-authority-data is no base64"),
    (config(users=[]), "users has 0 entries with the name 'u'"),
]


@pytest.mark.parametrize(("content", "why"), WITHOUT, ids=[why for _, why in WITHOUT])
async def test_without_the_package_the_error_says_why_it_is_needed_and_how_to_get_it(
    folder: Path, content: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "is_installed", lambda: False)
    (folder / "config").write_text(yaml.safe_dump(content))
    with pytest.raises(SourceError) as raised:
        await from_kubeconfig(folder / "config", None)
    assert why in str(raised.value)
    assert "pip install 'fastdns[kubernetes]'" in str(raised.value)


async def test_without_the_package_a_plain_one_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "is_installed", lambda: False)
    (folder / "config").write_text(yaml.safe_dump(config(HTTPS, {"token": "t"})))
    assert (await from_kubeconfig(folder / "config", None)).host_url == "https://api.test:6443"
