"""What the APIs say, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns.errors import SourceError
from fastdns.hostedzones.config import HostedZone
from fastdns.plugins.azure.config import Access
from fastdns.plugins.azure.listing import open_lister, record_sets_of
from tests.hostedzones.providers import Answer, Asked, Provider
from tests.plugins.azure.api import HOSTS, MANAGER, SECRET, Api, apex, private, refused, said

exceptions = pytest.importorskip("azure.core.exceptions", reason="pip install 'fastdns[azure]'")
pytest.importorskip("azure.identity", reason="pip install 'fastdns[azure]'")
ZONE = HostedZone("z.test.", "rg")
ACCESS = Access("TENANT", "CLIENT", SECRET, "SUBSCRIPTION")


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    zones = {
        ("rg", "public", "z.test"): apex("z.test.") * 3,
        ("rg", "private", "z.test"): private(apex("z.test.") * 3),
    }
    with Provider(Api(zones, page_sets=4).answer) as provider:
        for name, value in provider.proxy_environ(tmp_path, *HOSTS).items():
            monkeypatch.setenv(name, value)
        yield provider


def test_pages_and_credentials(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Public zones with the client of the Corefile, private ones with that of the environment."""
    listed = list(open_lister(ACCESS)(ZONE))
    assert [one.rrtype for one in listed] == ["NS", "SOA"] * 3
    pages = [asked for asked in provider.asked if asked.host == MANAGER]
    assert [asked.values.get("$skipToken") for asked in pages] == [None, "4"]
    for name, value in {"TENANT_ID": "TENANT", "CLIENT_ID": "CLIENT", "CLIENT_SECRET": SECRET}.items():
        monkeypatch.setenv(f"AZURE_{name}", value)
    listed = list(open_lister(Access(subscription="SUBSCRIPTION", private=True))(ZONE))
    assert [one.rrtype for one in listed] == ["SOA"] * 3


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (refused(403, "AuthorizationFailed"), "403: AuthorizationFailed: It is so."),
        (Answer(b"<html>", 404), "404: Not Found"),
        (said({"value": [], "nextLink": "https://elsewhere.example/"}), "the next page of the listing is"),
        (said({"value": [], "nextLink": f"https://{MANAGER}.example/"}), "the next page of the listing is"),
    ],
)
def test_what_is_no_listing(provider: Provider, answer: Answer, why: str) -> None:
    """The token is shown to no other host."""

    def play(asked: Asked) -> Answer | None:
        return answer if asked.host == MANAGER else None

    provider.play = play
    with pytest.raises(SourceError, match=why):
        list(open_lister(ACCESS)(ZONE))
    assert {asked.host for asked in provider.asked} == set(HOSTS)


def test_a_client_that_is_refused(provider: Provider) -> None:
    with pytest.raises(exceptions.ClientAuthenticationError, match="AADSTS7000215"):
        list(open_lister(Access("TENANT", "CLIENT", "wrong", "SUBSCRIPTION"))(ZONE))


def test_record_sets() -> None:
    """Public and private zones spell fields in different ways."""
    for spelled in ("ARecords", "aRecords"):
        listed = list(record_sets_of({"fqdn": "a.z.test.", "ttl": 5, spelled: [{"ipv4Address": "192.0.2.1"}]}))
        assert [one[:4] for one in listed] == [("a.z.test.", "A", 5, ["192.0.2.1"])]
    texts = list(record_sets_of({"fqdn": "a.", "TTL": 5, "TXTRecords": [{"value": ['é"', ""]}]}))
    assert texts[0].rdata == ['"\\195\\169\\034" ""']
    assert next(record_sets_of({"fqdn": "a.", "TTL": 5, "targetResource": {"id": "x"}})).why
    assert list(record_sets_of({"fqdn": "a.", "TTL": 5, "targetResource": None, "ARecords": []})) == []
