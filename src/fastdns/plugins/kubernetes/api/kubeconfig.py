"""Reads kubeconfigs with plain data: certificates, keys and tokens, in the file or in files that it names.

For any other file, and for a file with a mistake, read_plain raises NotPlain. Then the kubernetes package reads it,
if it is installed: an extra of 126 MiB, whose import takes most of a second. read_plain returns the same values as
the package (tests compare both).
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.api.files import read_pem

USER_KEYS = {
    "client-certificate", "client-certificate-data", "client-key", "client-key-data", "token", "tokenFile",
}  # fmt: skip
CLUSTER_KEYS = {
    "server", "certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify", "tls-server-name",
}  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Credentials:
    """The connection of a kubeconfig's context, or an error. The child process prints it as JSON."""

    host_url: str = ""
    ca_pem: str | None = None
    cert_pem: str | None = None
    key_pem: str | None = None
    server_name: str | None = None
    insecure: bool = False
    authorization: str | None = None
    token_file: str | None = None
    proxy_url: str | None = None
    expires_at: float | None = None
    error: str | None = None


class NotPlain(Exception):
    """This file needs the kubernetes package; the text says why."""


def read_plain(path: Path, context: str | None) -> Credentials:
    """The credentials of a context (None: the current one). Raises NotPlain."""
    import yaml

    if ":" in str(path) or str(path).startswith("~"):
        # The package accepts a list of files, and expands home directories.
        raise NotPlain("its path is a list, or begins with ~")
    try:
        content = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
        return Plain(content, context, path.resolve().parent).credentials()
    except yaml.YAMLError as error:
        raise NotPlain(f"no YAML: {' '.join(str(error).split())}") from error
    except (OSError, ValueError, SourceError) as error:
        raise NotPlain(str(error)) from error


class Plain:
    """One context of a file's content. Raises NotPlain."""

    def __init__(self, content: Any, context: str | None, folder: Path) -> None:
        self.folder = folder
        content = mapping(content)
        name = text(content, "current-context") if context is None else context
        links = mapping(named(content, "contexts", name).get("context"))
        self.cluster = only(named(content, "clusters", text(links, "cluster")), "cluster", CLUSTER_KEYS)
        self.user = {}
        if "user" in links:
            self.user = only(named(content, "users", text(links, "user")), "user", USER_KEYS)

    def credentials(self) -> Credentials:
        """The credentials, as the package returns them."""
        found = Credentials(
            host_url=text(self.cluster, "server").rstrip("/"),
            insecure=self.flag("insecure-skip-tls-verify"),
            server_name=text(self.cluster, "tls-server-name") if "tls-server-name" in self.cluster else None,
        )
        if found.host_url.startswith("https"):
            found.ca_pem = self.pem(self.cluster, "certificate-authority", "PEM certificates")
            found.cert_pem = self.pem(self.user, "client-certificate", "a PEM client certificate")
            found.key_pem = self.pem(self.user, "client-key", "a PEM key")
        if "token" in self.user:
            found.authorization = f"Bearer {text(self.user, 'token')}"
        elif "tokenFile" in self.user:
            token_file = (self.folder / text(self.user, "tokenFile")).resolve()
            token_file.read_text("ascii")
            found.token_file = str(token_file)
        return found

    def flag(self, key: str) -> bool:
        """A boolean of the cluster; False if it is missing."""
        value = self.cluster.get(key, False)
        if not isinstance(value, bool):
            raise NotPlain(f"{key} is neither true nor false")
        return value

    def pem(self, where: dict[str, Any], key: str, expected: str) -> str | None:
        """The value of KEY-data, or the content of the file in KEY; None if both are missing."""
        if f"{key}-data" in where:
            try:
                return base64.b64decode(text(where, f"{key}-data"), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise NotPlain(f"{key}-data is no base64") from None
        if key not in where:
            return None
        return read_pem(Path(os.path.normpath(self.folder / text(where, key))), expected)


def mapping(value: Any) -> dict[str, Any]:
    """A mapping with names as keys."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise NotPlain("a mapping of names was expected")
    return value


def text(where: dict[str, Any], key: str) -> str:
    """A string that is not empty."""
    value = where.get(key)
    if not isinstance(value, str) or not value.strip():
        raise NotPlain(f"{key} is no text")
    return value


def named(content: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    """The only entry of a section with this name."""
    entries = content.get(section)
    if not isinstance(entries, list):
        raise NotPlain(f"{section} is no list")
    found = [mapping(entry) for entry in entries if mapping(entry).get("name") == name]
    if len(found) != 1:
        raise NotPlain(f"{section} has {len(found)} entries with the name {name!r}")
    return found[0]


def only(entry: dict[str, Any], key: str, known: set[str]) -> dict[str, Any]:
    """The mapping in an entry. Raises NotPlain if it has other keys than the known ones."""
    held = mapping(entry.get(key))
    if others := sorted(held.keys() - known):
        raise NotPlain(f"its {key} has {', '.join(others)}")
    return held
