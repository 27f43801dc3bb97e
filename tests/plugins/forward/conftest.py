"""What the tests of forward share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns.plugins.forward import asks
from tests.plugins.forward.certificates import Authority


@pytest.fixture(autouse=True)
def patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many connections there are must not depend on how busy the machine is: see Pool.doubt."""
    if not request.path.name.endswith("_silence.py"):
        monkeypatch.setattr(asks, "MIN_PATIENCE_S", 60.0)
        monkeypatch.setattr(asks, "MAX_PATIENCE_S", 60.0)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    yield Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def resolv_conf(tmp_path: Path) -> Path:
    path = tmp_path / "resolv.conf"
    path.write_text("search example.org\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions ndots:5\n")
    return path
