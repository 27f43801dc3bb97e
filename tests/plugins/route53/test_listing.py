"""What the API says, and what becomes of it: escapes, errors, credentials."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns.hostedzones.config import HostedZone
from fastdns.plugins.route53.config import Access
from fastdns.plugins.route53.listing import open_lister, unescaped
from tests.hostedzones.providers import Answer, Provider
from tests.plugins.route53.api import Api, Set, apex, error

exceptions = pytest.importorskip("botocore.exceptions", reason="pip install 'fastdns[route53]'")
ZONE = HostedZone("z.test.", "/hostedzone/Z1")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of the machine's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def provider() -> Iterator[Provider]:
    names = [Set(f"n{number}.z.test.", "A", ["192.0.2.1"], identifier=str(number % 2)) for number in range(5)]
    with Provider(Api({"Z1": [*apex("z.test."), *names]}, page_sets=3).answer) as provider:
        yield provider


def key_of(provider: Provider) -> str:
    """The access key that the last request was signed with."""
    return provider.asked[-1].headers["authorization"].partition("Credential=")[2].partition("/")[0]


def test_pages(provider: Provider) -> None:
    listed = list(open_lister(Access(provider.url, key_id="AKID", secret_key="S"))(ZONE))
    assert [one.owner for one in listed] == ["z.test."] * 2 + [f"n{number}.z.test." for number in range(5)]
    assert len(provider.asked) == 3
    assert {asked.path for asked in provider.asked} == {"/2013-04-01/hostedzone/Z1/rrset"}
    assert key_of(provider) == "AKID"
    assert "/us-east-1/route53/" in provider.asked[-1].headers["authorization"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (error("AccessDenied", "User is not authorized", 403), "AccessDenied"),
        (Answer(b"", 403), "403"),
        (Answer(b"<html>", 200, "text/html"), "invalid XML"),
        (Answer(b"\xff\x00", 200), "invalid XML"),
        (Answer(b"<ListResourceRecordSetsResponse/>", 200, "text/xml"), "ResourceRecordSets"),
    ],
)
def test_what_is_no_listing(provider: Provider, answer: Answer, said: str) -> None:
    provider.play = lambda asked: answer
    parsers = importlib.import_module("botocore.parsers")
    theirs = (exceptions.BotoCoreError, exceptions.ClientError, parsers.ResponseParserError, LookupError)
    with pytest.raises(theirs) as raised:
        list(open_lister(Access(provider.url, key_id="A", secret_key="S"))(ZONE))
    assert said in str(raised.value)


def test_credentials(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the Corefile, of the profile that it names, of the file that it names, of the environment."""

    def used(**options: str) -> str:
        list(open_lister(Access(provider.url, **options))(ZONE))
        return key_of(provider)

    shared, own, config = tmp_path / "shared", tmp_path / "own", tmp_path / "config"
    shared.write_text(
        "[default]\naws_access_key_id = SHARED\naws_secret_access_key = x\n"
        "[dns]\naws_access_key_id = SHAREDDNS\naws_secret_access_key = x\n"
    )
    own.write_text(
        "[dns]\naws_access_key_id = OWNDNS\naws_secret_access_key = x\n"
        "[profile far]\nregion = eu-west-1\naws_access_key_id = OWNFAR\naws_secret_access_key = x\n"
    )
    config.write_text("[profile dns]\nregion = eu-north-1\n")
    with pytest.raises(exceptions.NoCredentialsError):
        used()
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    assert used() == "SHARED"
    assert used(profile="dns") == "SHAREDDNS"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENVIRON")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert used() == "ENVIRON"
    assert used(profile="dns") == "SHAREDDNS", "a profile comes before the environment"
    assert used(profile="dns", shared_file=str(own)) == "OWNDNS"
    assert used(profile="far", shared_file=str(own)) == "OWNFAR"
    assert "/eu-west-1/" in provider.asked[-1].headers["authorization"]
    assert used(profile="dns", key_id="STATIC", secret_key="x") == "STATIC"
    with pytest.raises(exceptions.ProfileNotFound):
        used(profile="nobody", shared_file=str(own))
    # The config file is read where it is asked for.
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SDK_LOAD_CONFIG", "true")
    assert used(profile="dns", shared_file=str(own)) == "OWNDNS"
    assert "/eu-north-1/" in provider.asked[-1].headers["authorization"]
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    assert used(profile="dns", shared_file=str(own)) == "OWNDNS"
    assert "/ap-south-1/" in provider.asked[-1].headers["authorization"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\\052.example.org.", "\\042.example.org."), ("www.example.org.", "www.example.org."),
        ("a\\056b.example.org.", "a\\046b.example.org."), ('"a\\\\052"', '"a\\\\052"'), ('"\\""', '"\\""'),
        ('"\\377\\000"', '"\\255\\000"'), ('"\\400"', '"\\400"'), ('"\\08"', '"\\08"'), ("\\", "\\"), ("", ""),
    ],
)  # fmt: skip
def test_escapes(text: str, expected: str) -> None:
    assert unescaped(text) == expected


def test_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator agrees with the API of these tests."""
    server = pytest.importorskip("moto.server", reason="pip install 'moto[server]'")
    started = server.ThreadedMotoServer(port=0, verbose=False)
    started.start()
    try:
        host, port = started.get_host_and_port()
        session = importlib.import_module("botocore.session").Session()
        client = session.create_client(
            "route53", region_name="us-east-1", endpoint_url=f"http://{host}:{port}", aws_access_key_id="a",
            aws_secret_access_key="b",
        )  # fmt: skip
        made = client.create_hosted_zone(Name="z.test", CallerReference="1")["HostedZone"]["Id"]
        changes = [
            {"Name": f"n{number}.z.test", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
            for number in range(320)
        ]
        changes.append({"Name": "*.z.test", "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": '"a b"'}]})
        batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": change} for change in changes]}
        client.change_resource_record_sets(HostedZoneId=made, ChangeBatch=batch)
        lister = open_lister(Access(f"http://{host}:{port}", key_id="a", secret_key="b"))
        listed = {(one.owner, one.rrtype): one for one in lister(HostedZone("z.test.", made))}
    finally:
        started.stop()
    assert {("z.test.", "SOA"), ("z.test.", "NS"), ("n319.z.test.", "A")} < listed.keys()
    assert len(listed) == 323
