"""Reads one context of a kubeconfig with the ``kubernetes`` package and prints it: run as a child process.

``python -m fastdns.plugins.kubernetes.api.credentials`` takes ``{"kubeconfig": PATH, "context": NAME or null,
"plugins": BOOL, "parent": PID}`` on stdin and prints a Credentials object as JSON on stdout; without plugins, what
an exec or auth-provider plugin would give is left out. Secrets pass through pipes only, never through arguments or
the environment. An error is printed as ``{"error": TEXT}`` with status 0; another status is a crash.

The process and its plugins are a process group. The parent kills the group when it waits no longer, and the group
ends when the parent ends.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from fastdns.children import die_with_parent
from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.api.files import read_pem
from fastdns.plugins.kubernetes.api.kubeconfig import Credentials


class Complaints(logging.Handler):
    """Keeps messages that the kubernetes package only logs, such as why an exec plugin returned no token."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


PLUGINS = ("exec", "auth-provider")


def read(kubeconfig: str, context: str | None, plugins: bool) -> Credentials:
    """Raises SourceError, or whatever the kubernetes package raises on a file it cannot use."""
    from kubernetes import client, config

    # The package has no type annotations.
    api: Any = client
    loading: Any = config.kube_config
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    merger = loading.KubeConfigMerger(kubeconfig)
    if merger.config is None:
        raise SourceError("expected a kubeconfig with clusters, users and contexts")
    loader = loading.KubeConfigLoader(
        merger.config, active_context=context, config_base_path=str(Path(kubeconfig).resolve().parent)
    )
    user: dict[str, Any] = loader._user.value if loader._user is not None else {}
    if not plugins:
        for name in PLUGINS:
            user.pop(name, None)
    configuration = api.Configuration()
    # The defaults come from the environment and localhost. Only the file may set these fields.
    configuration.host = ""
    configuration.proxy = None
    loader.load_and_set(configuration)
    if not configuration.host:
        raise SourceError("its cluster names no server; expected an https URL")
    authorization = configuration.api_key.get("BearerToken")
    if not user.keys().isdisjoint(PLUGINS) and not authorization and not configuration.cert_file:
        said = "; ".join(complaints.texts) or "it printed neither a token nor a certificate"
        raise SourceError(f"its credential plugin returned no usable credentials: {said}")
    token_file = user.get("tokenFile") if not user.get("token") and "exec" not in user else None
    if token_file is not None:
        token_file = str((Path(kubeconfig).resolve().parent / token_file).resolve())
    expiry = getattr(loader, "expiry", None)
    return Credentials(
        host_url=configuration.host,
        ca_pem=pem(configuration.ssl_ca_cert, "PEM certificates of the API server's CA"),
        cert_pem=pem(configuration.cert_file, "a PEM client certificate"),
        key_pem=pem(configuration.key_file, "a PEM key"),
        server_name=configuration.tls_server_name or None,
        insecure=not configuration.verify_ssl,
        authorization=None if token_file else authorization,
        token_file=token_file,
        proxy_url=configuration.proxy or None,
        expires_at=expiry.timestamp() if expiry is not None else None,
    )


def pem(path: str | None, expected: str) -> str | None:
    """Read a file of the loader now: the files with embedded data are removed when this process ends."""
    return read_pem(Path(path), expected) if path else None


def end_group(number: int, frame: object) -> None:
    """The parent has ended: end this process and its plugins, which may hang."""
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    os.setpgid(0, 0)
    for inherited in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        # A plugin must not inherit the signals that the watcher ignores.
        signal.signal(inherited, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, end_group)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    asked = json.loads(sys.stdin.buffer.read())
    die_with_parent(asked["parent"], signal.SIGTERM)
    out = sys.stdout.buffer
    # An exec plugin or a library that prints must not spoil the answer.
    sys.stdout = sys.stderr
    try:
        found = read(asked["kubeconfig"], asked["context"], asked["plugins"])
    except Exception as e:
        found = Credentials(error=f"{e}" or e.__class__.__name__)
    out.write(json.dumps(dataclasses.asdict(found)).encode())
    out.flush()


if __name__ == "__main__":
    main()
