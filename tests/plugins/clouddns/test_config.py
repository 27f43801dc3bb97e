"""The options of clouddns, and the credentials that the server looks at before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastdns.check import check, problem_lines
from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.hostedzones.config import Config, HostedZone, Listing
from fastdns.plugins.clouddns.config import Access
from fastdns.plugins.clouddns.plugin import plugin

ZONE = HostedZone("example.org.", "project:zone")


def parsed(text: str) -> Config:
    config = load(f". {{\n{text}\n}}", environ={}).blocks[0].plugins["clouddns"]
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clouddns", Config((Listing((), Access()),))),
        ("clouddns example.org:project:zone", Config((Listing((ZONE,), Access()),))),
        ("clouddns Example.ORG.:project:zone", Config((Listing((ZONE,), Access()),))),
        (
            "clouddns example.org:example.com:project:zone",
            Config((Listing((HostedZone("example.org.", "example.com:project:zone"),), Access()),)),
        ),
        (
            "clouddns example.org:project:zone {\ncredentials key.json\nupstream 1.2.3.4\n}",
            Config((Listing((ZONE,), Access("key.json")),)),
        ),
        (
            "clouddns example.org:project:zone {\nfallthrough }",
            Config((Listing((ZONE,), Access()),), ("example.org.",)),
        ),
        # Each directive has its own options.
        (
            "clouddns example.org:project:zone {\ncredentials key.json\n}\nclouddns b.test:p:z",
            Config(
                (Listing((ZONE,), Access("key.json")), Listing((HostedZone("b.test.", "p:z"),), Access())),
            ),
        ),
    ],
)
def test_options(text: str, expected: Config) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clouddns example.org", "2 - Error during parsing: invalid zone 'example.org'"),
        ("clouddns example.org:project", "2 - Error during parsing: invalid zone 'example.org:project'"),
        ("clouddns example.org:project:", "2 - Error during parsing: invalid zone 'example.org:project:'"),
        ("clouddns :project:zone", "2 - Error during parsing: invalid zone ':project:zone'"),
        ("clouddns a.b:p:z a.b.:p:z", "2 - Error during parsing: conflict zone 'a.b.:p:z'"),
        ("clouddns a.b:p:z {\ncredentials\n}", "3 - Error during parsing: wrong argument count"),
        ("clouddns a.b:p:z {\nrefresh 1m\n}", "3 - Error during parsing: unknown option 'refresh'"),
    ],
)
def test_mistakes(text: str, said: str) -> None:
    with pytest.raises(CorefileError, match=r"^plugin/clouddns: Corefile:") as raised:
        parsed(text)
    assert said in str(raised.value)


def problems(text: str) -> list[str]:
    return problem_lines(check(lambda mistakes: load(text, environ={}, mistakes=mistakes)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        ("-----BEGIN PRIVATE KEY-----", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ("[]", "missing `type` field in credential"),
        ('{"private_key": "SECRET"}', "missing `type` field in credential"),
        (
            '{"type": "SECRET"}',
            "its type is none of service_account, authorized_user, impersonated_service_account, external_account",
        ),
    ],
)
def test_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, said: str) -> None:
    monkeypatch.setattr(type(plugin), "libraries", ())
    file = tmp_path / "key.json"
    if content is not None:
        file.write_text(content)
    text = f". {{\nwhoami\nclouddns a.b:p:z {{\ncredentials {file}\n}}\n}}"
    assert problems(text) == [f"fastdns: plugin/clouddns: Corefile:3 - invalid credentials file '{file}': {said}"]
    file.write_text('{"type": "authorized_user"}')
    assert problems(text) == []


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(plugin), "libraries", ("no_such.auth", "json"))
    assert problems(". {\nclouddns\n}") == [
        "fastdns: plugin/clouddns: Corefile:2 - it needs no_such.auth: pip install 'fastdns[clouddns]'"
    ]
