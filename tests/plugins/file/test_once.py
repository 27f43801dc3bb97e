"""A zone file is read once: by the watcher, whose mistakes end a start or a reload of the Corefile."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.corefile.mistakes import Mistakes
from fastdns.errors import FastdnsError
from fastdns.plugins.api import Check
from fastdns.plugins.file.plugin import plugin
from fastdns.skipped import SkippedLines
from fastdns.zonefiles import asking
from tests.support import Server, free_port

ZONE = "@ 60 IN SOA ns host 1 7200 1800 86400 60\nwww 60 IN A 192.0.2.1\n"
COREFILE = "once.test:DNS_PORT {\n    bind 127.0.0.1\n    file db\n}\n"


def look(folder: Path, text: str, *, keep: bool) -> Check:
    """What a start (or ``fastdns check``: keep) finds of a zone file before anybody serves it."""
    (folder / "db").write_text(text)
    config = load(f"once.test {{\nfile {folder / 'db'}\n}}\n", environ={})
    check = Check(config, SkippedLines(), Mistakes(keep=keep))
    plugin.check(check)
    return check


def test_a_start_reads_a_zone_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was read twice: to look for mistakes, and to serve it. A million records take seconds."""
    assert look(tmp_path, "mistake\n", keep=True).mistakes.found, "fastdns check reads it"
    monkeypatch.setattr(asking, "look_at", lambda jobs: pytest.fail("it was read"))
    assert look(tmp_path, "mistake\n", keep=False).warnings == []
    (tmp_path / "db").unlink()
    (tmp_path / "db").mkdir()
    with pytest.raises(FastdnsError, match="expected a regular file"):
        plugin.check(Check(load(f"a {{\nfile {tmp_path / 'db'}\n}}\n", environ={}), SkippedLines(), Mistakes()))


def test_a_mistake_ends_the_start(tmp_path: Path) -> None:
    """With the places of both files."""
    (tmp_path / "db").write_text(f"{ZONE}bad\n")
    (tmp_path / "Corefile").write_text(COREFILE.replace("DNS_PORT", str(free_port())))
    command = (sys.executable, "-m", "fastdns.cli", "-conf", "Corefile")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    said = "plugin/file: Corefile:3 - db:3 - it is malformed; expected [OWNER] [TTL] [IN] TYPE RDATA\n"
    assert done.stderr.endswith(said), done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("once")
    (folder / "db").write_text(ZONE)
    (folder / "worse").write_text(f"{ZONE}bad\n")
    with Server(folder, COREFILE, workers=1) as running:
        yield running


def test_a_mistake_ends_a_reload(server: Server) -> None:
    """The running configuration serves on; one without a mistake is served then."""
    before = server.corefile.read_text()
    server.corefile.write_text(before.replace("file db", "file worse"))
    server.send_signal(signal.SIGUSR1)
    server.wait_for_log("worse:3 - it is malformed; expected [OWNER] [TTL] [IN] TYPE RDATA; the running")
    assert server.addresses("www.once.test.") == ["192.0.2.1"]
    (server.folder / "worse").write_text(ZONE.replace("192.0.2.1", "192.0.2.2"))
    server.reload()
    assert server.addresses("www.once.test.") == ["192.0.2.2"]
