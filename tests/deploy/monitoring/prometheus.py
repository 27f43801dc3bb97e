"""A real Prometheus, Debian's: scrapes servers every three seconds, computes our rules, and answers queries."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import yaml

from tests.support import ROOT, free_port, wait_until

MONITORING = ROOT / "deploy" / "monitoring"
# What pods of a cluster have, and dashboards ask for.
LABELS = {"cluster": "test", "pod": "dns-0", "k8s_app": "kube-dns", "namespace": "kube-system"}
JOB = "kube-dns"


def promtool(*words: str | Path) -> str:
    """Run promtool; returns what it prints. Skips the test where there is none; fails where it finds a fault."""
    if shutil.which("promtool") is None:
        pytest.skip("no promtool")
    ended = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


class Prometheus:
    """``with Prometheus(folder, {"kube-dns": port})``: scrapes a port of 127.0.0.1 for each job."""

    def __init__(self, folder: Path, jobs: Mapping[str, int]) -> None:
        if shutil.which("prometheus") is None:
            pytest.skip("no prometheus")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        config = {
            # A busy machine renders a page in this time.
            "global": {"scrape_interval": "3s", "scrape_timeout": "3s", "evaluation_interval": "1s"},
            "rule_files": [str(MONITORING / "rules.yaml"), str(MONITORING / "old-names.yaml")],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": LABELS}]}
                for job, port in jobs.items()
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> Prometheus:
        with (self.folder / "log").open("wb") as output:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.folder / 'prometheus.yml'}", "--log.level=warn",
                 f"--storage.tsdb.path={self.folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}"],
                stdout=output, stderr=output, env={"GOMAXPROCS": "1"},
            )  # fmt: skip
        try:
            wait_until(self.is_ready, 30, "Prometheus is ready")
        except BaseException:
            print((self.folder / "log").read_text())
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    def is_ready(self) -> bool:
        """Whether it answers queries."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def ask(self, path: str, **what: object) -> Any:
        """The data of an answer of the HTTP API. Raises ValueError with its words where a query is wrong."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(what)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from None

    def series(self, query: str) -> list[Any]:
        """What an instant query returns now: series with their values."""
        return list(self.ask("query", query=query)["result"])
