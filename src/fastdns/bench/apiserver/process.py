"""The server in a process of its own, for benches and integration tests: starts, controls and stops it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from fastdns.children import die_with_parent


class Process:
    """``python -m fastdns.bench.apiserver`` with options as keywords: ``Process(services=100, tls=False)``.

    A context manager: ready when entered, ended when left. ``info`` is the line that it prints when ready.
    """

    def __init__(self, **options: Any) -> None:
        self._arguments: list[str] = []
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                self._arguments.append(flag)
            elif value is False:
                self._arguments.append("--no-" + flag[2:])
            else:
                self._arguments += [flag, str(value)]
        self.info: dict[str, Any] = {}
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Process:
        command = [sys.executable, "-m", "fastdns.bench.apiserver", *self._arguments]
        parent = os.getpid()
        self._child = subprocess.Popen(
            command, stdout=subprocess.PIPE, preexec_fn=lambda: die_with_parent(parent, signal.SIGTERM)
        )
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            self.__exit__()
            raise RuntimeError("the API server did not start")
        self.info = json.loads(line)
        return self

    def __exit__(self, *error: object) -> None:
        if self._child is not None:
            self._child.terminate()
            self._child.wait(10)
            if self._child.stdout is not None:
                self._child.stdout.close()

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def url(self) -> str:
        return str(self.info["url"])

    @property
    def kubeconfig(self) -> Path:
        return Path(self.info["kubeconfig"])

    def post(self, name: str, body: Any = None) -> Any:
        """POST to ``/-/name``; see control for the names."""
        data = json.dumps({} if body is None else body).encode()
        return self._call(urllib.request.Request(f"{self.info['control']}/-/{name}", data, method="POST"))

    def get(self, name: str) -> Any:
        return self._call(urllib.request.Request(f"{self.info['control']}/-/{name}"))

    def fault(self, name: str, **how: Any) -> None:
        self.post("fault", {"name": name, **how})

    def clear(self, name: str | None = None) -> None:
        self.post("clear", {"name": name})

    def _call(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())
