"""An etcd as Debian has it, on ports of the loopback, and calls to its API."""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.support import free_port, wait_until

ETCD = shutil.which("etcd")
needs_etcd = pytest.mark.skipif(ETCD is None, reason="etcd is not installed")


def coded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


class Etcd:
    """``with Etcd(folder) as etcd``: one member, answering; ended afterwards. start and stop may be called between.

    tls: certificate, key and CA of the server. client: what it is reached with; certified: it must be by a
    certificate of that CA. An etcd with users takes none that has a common name, over JSON.
    """

    def __init__(
        self,
        folder: Path,
        tls: Sequence[Path] = (),
        client: ssl.SSLContext | None = None,
        *,
        certified: bool = False,
    ) -> None:
        assert ETCD is not None
        self.folder = folder
        self.port = free_port()
        peer = f"http://127.0.0.1:{free_port()}"
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.tls = client
        self.token = ""
        self.command = [
            ETCD, "--data-dir", str(folder / "data"), "--listen-client-urls", self.url,
            "--advertise-client-urls", self.url, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}", "--unsafe-no-fsync",
        ]  # fmt: skip
        if tls:
            self.command += ["--cert-file", str(tls[0]), "--key-file", str(tls[1])]
        if certified:
            self.command += ["--client-cert-auth", "--trusted-ca-file", str(tls[2])]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self.folder / "etcd.log").open("ab") as output:
            self.process = subprocess.Popen(self.command, stdout=output, stderr=output)
        wait_until(self.answers, 20, "etcd")

    def answers(self) -> bool:
        """Whether it serves requests."""
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "etcd.log").read_text()
        try:
            self.call("/v3/kv/range", {"key": coded("none")})
        except AssertionError:
            return True
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """End."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self) -> Etcd:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------------------------------------- calls

    def call(self, path: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """One request of the API."""
        headers = {"Authorization": self.token} if self.token else {}
        asked = urllib.request.Request(self.url + path, json.dumps(request).encode(), headers)
        try:
            with urllib.request.urlopen(asked, timeout=5, context=self.tls) as answer:
                said: dict[str, Any] = json.load(answer)
                return said
        except urllib.error.HTTPError as error:
            raise AssertionError(f"etcd refuses {path}: {error.read().decode()}") from error

    def put(self, key: str | bytes, value: object, lease: str = "0") -> None:
        """Write a key. value: bytes as they are, or what becomes JSON."""
        data = value if isinstance(value, bytes) else json.dumps(value)
        self.call("/v3/kv/put", {"key": coded(key), "value": coded(data), "lease": lease})

    def put_all(self, services: Mapping[str, object]) -> None:
        """Write names, in one transaction for each hundred."""
        puts = [
            {"request_put": {"key": coded(key), "value": coded(json.dumps(value))}}
            for key, value in services.items()
        ]
        for at in range(0, len(puts), 100):
            self.call("/v3/kv/txn", {"success": puts[at : at + 100]})

    def delete(self, key: str) -> None:
        """Remove a key."""
        self.call("/v3/kv/deleterange", {"key": coded(key)})

    def grant(self, ttl_s: int) -> str:
        """A lease."""
        return str(self.call("/v3/lease/grant", {"TTL": str(ttl_s)})["ID"])

    def revision(self) -> int:
        """The number of its last change."""
        return int(self.call("/v3/kv/range", {"key": coded("none")})["header"]["revision"])

    def compact(self) -> None:
        """Forget what was before."""
        self.call("/v3/kv/compaction", {"revision": str(self.revision()), "physical": True})
