"""Writes kubeconfigs of every kind: with the server's address and a user's credentials."""

from __future__ import annotations

import base64
import shlex
import sys
from pathlib import Path
from typing import Any

import yaml

HOWS = ("token", "token_file", "cert", "exec", "none")


def write(
    path: Path,
    url: str,
    *,
    how: str,
    token_file: Path,
    ca_file: Path | None,
    client: tuple[Path, Path] | None,
    embed: bool,
) -> Path:
    """A kubeconfig whose user authenticates by ``how``, one of HOWS; ``embed`` puts certificates into it."""
    cluster: dict[str, Any] = {"server": url}
    if ca_file is not None:
        cluster |= _file("certificate-authority", ca_file, embed)
    user: dict[str, Any] = {}
    if how == "token":
        user["token"] = token_file.read_text()
    elif how == "token_file":
        user["tokenFile"] = str(token_file)
    elif how == "cert" and client is not None:
        user = _file("client-certificate", client[0], embed) | _file("client-key", client[1], embed)
    elif how == "exec":
        user["exec"] = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(_plugin(path.with_name(path.name + "-plugin"), token_file)),
            "interactiveMode": "Never",
        }
    elif how != "none":
        raise ValueError(f"unknown kind of credentials: {how}; one of {', '.join(HOWS)}")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "coredns", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "coredns"}}],
        "current-context": "test",
    }
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def _file(name: str, path: Path, embed: bool) -> dict[str, str]:
    if embed:
        return {f"{name}-data": base64.b64encode(path.read_bytes()).decode()}
    return {name: str(path)}


def _plugin(path: Path, token_file: Path) -> Path:
    """An exec plugin that prints the token that the file has when it runs."""
    code = (
        "import json,sys;print(json.dumps({'kind':'ExecCredential',"
        "'apiVersion':'client.authentication.k8s.io/v1','status':{'token':open(sys.argv[1]).read()}}))"
    )
    command = shlex.join([sys.executable, "-c", code, str(token_file)])
    path.write_text(f"#!/bin/sh\nexec {command}\n")
    path.chmod(0o755)
    return path
