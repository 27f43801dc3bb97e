"""What the API says, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns.errors import SourceError
from fastdns.hostedzones.config import HostedZone
from fastdns.plugins.clouddns.config import Access
from fastdns.plugins.clouddns.listing import open_lister, record_set
from tests.hostedzones.providers import Answer, Asked, Provider
from tests.plugins.clouddns.api import HOSTS, Api, apex, refused, said, write_credentials

exceptions = pytest.importorskip("google.auth.exceptions", reason="pip install 'fastdns[clouddns]'")
ZONE = HostedZone("z.test.", "project:zone")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With credentials."""
    folder = tmp_path_factory.mktemp("clouddns")
    write_credentials(folder / "key.json")
    return folder


@pytest.fixture
def provider(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with Provider(Api({"project:zone": apex("z.test.") * 3}, page_sets=4).answer) as provider:
        for name, value in provider.proxy_environ(folder, *HOSTS).items():
            monkeypatch.setenv(name, value)
        yield provider


def test_pages(provider: Provider, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the credentials of the Corefile, and of the environment."""
    assert len(list(open_lister(Access(str(folder / "key.json")))(ZONE))) == 6
    assert [asked.values.get("pageToken") for asked in provider.asked if asked.path != "/token"] == [None, "4"]
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "key.json"))
    assert len(list(open_lister(Access())(ZONE))) == 6


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (refused(403, "The caller has no permission"), "403: The caller has no permission"),
        (Answer(b"<html>", 404), "404: Not Found"),
        (Answer(b'{"error": "text"}', 400), "400: Bad Request"),
        (said({"rrsets": [], "nextPageToken": "again"}), "the listing does not end"),
    ],
)
def test_what_is_no_listing(provider: Provider, folder: Path, answer: Answer, why: str) -> None:
    def play(asked: Asked) -> Answer | None:
        return None if asked.path == "/token" else answer

    provider.play = play
    with pytest.raises(SourceError, match=why):
        list(open_lister(Access(str(folder / "key.json")))(ZONE))


def test_credentials_that_are_refused(provider: Provider, folder: Path) -> None:
    provider.play = lambda asked: Answer(b'{"error": "invalid_grant"}', 400) if asked.path == "/token" else None
    with pytest.raises(exceptions.RefreshError, match="invalid_grant"):
        list(open_lister(Access(str(folder / "key.json")))(ZONE))


def test_record_sets() -> None:
    assert record_set({"name": "a.", "type": "A", "ttl": 5, "rrdatas": ["192.0.2.1"]})[:4] == (
        "a.", "A", 5, ["192.0.2.1"],
    )  # fmt: skip
    assert record_set({"name": "a.", "type": "A", "ttl": 5, "routingPolicy": {}}).why
    assert record_set({"name": "a.", "type": "A"})[2:4] == (0, ())
