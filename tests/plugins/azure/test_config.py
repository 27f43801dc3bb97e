"""The options of azure, and what the server looks for before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastdns.check import check, problem_lines, served_lines
from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.hostedzones.config import Config, HostedZone, Listing
from fastdns.plugins.azure.config import CLOUDS, STACK_FILE, Access, endpoints
from fastdns.plugins.azure.plugin import plugin

ZONE = HostedZone("zone.test.", "rg")
OTHER = HostedZone("other.test.", "rg")
SECRET = "8Q~secret"


def parsed(text: str) -> Config:
    config = load(f". {{\n{text}\n}}", environ={}).blocks[0].plugins["azure"]
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("azure", Config((Listing((), Access()),))),
        ("azure rg:zone.test", Config((Listing((ZONE,), Access()),))),
        ("azure rg:Zone.TEST.", Config((Listing((ZONE,), Access()),))),
        (
            f"azure rg:zone.test {{\ntenant T\nclient C\nsecret {SECRET}\nsubscription S\naccess private\n}}",
            Config((Listing((ZONE,), Access("T", "C", SECRET, "S", private=True)),)),
        ),
        (
            "azure rg:zone.test {\nenvironment AzureUSGovernmentCloud\naccess public }",
            Config((Listing((ZONE,), Access(environment="AZUREUSGOVERNMENTCLOUD")),)),
        ),
        (
            "azure rg:zone.test {\nfallthrough a.zone.test\n}",
            Config((Listing((ZONE,), Access()),), ("a.zone.test.",)),
        ),
        # One set of options, but access.
        (
            "azure rg:zone.test {\naccess private\ntenant A\n}\nazure rg:other.test {\ntenant B\nfallthrough\n}",
            Config(
                (Listing((ZONE,), Access("B", private=True)), Listing((OTHER,), Access("B"))),
                ("zone.test.", "other.test."),
            ),
        ),
    ],
)
def test_options(text: str, expected: Config) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("azure zone.test", "2 - Error during parsing: invalid resource group/zone 'zone.test'"),
        ("azure :", "2 - Error during parsing: invalid resource group/zone ':'"),
        ("azure rg:", "2 - Error during parsing: invalid resource group/zone 'rg:'"),
        ("azure rg:a.b rg:a.b.", "2 - Error during parsing: conflicting zone: 'rg:a.b.'"),
        ("azure rg:a.b\nazure rg:a.b", "3 - Error during parsing: conflicting zone: 'rg:a.b'"),
        ("azure rg:a.b {\ntenant\n}", "3 - Error during parsing: wrong argument count"),
        ("azure rg:a.b {\nclient\n}", "3 - Error during parsing: wrong argument count"),
        ("azure rg:a.b {\nsubscription\n}", "3 - Error during parsing: wrong argument count"),
        ("azure rg:a.b {\nsecret\n}", "3 - Error during parsing: secret needs one argument, got 0"),
        ("azure rg:a.b {\nenvironment moon\n}", "there is no cloud environment matching the name 'moon'"),
        ("azure rg:a.b {\naccess foo\n}", "3 - Error during parsing: 'foo' is none of public, private"),
        ("azure rg:a.b {\nfoo\n}", "3 - Error during parsing: unknown option 'foo'"),
    ],
)
def test_mistakes(text: str, said: str) -> None:
    with pytest.raises(CorefileError, match=r"^plugin/azure: Corefile:") as raised:
        parsed(text)
    assert said in str(raised.value)


def test_nothing_shows_the_secret() -> None:
    text = f"azure rg:a.b {{\nsecret {SECRET}\n}}"
    assert SECRET not in repr(parsed(text))
    assert parsed(text).listings[0].secrets() == [SECRET]
    with pytest.raises(CorefileError, match="secret needs one argument, got 2") as raised:
        parsed(f"azure rg:a.b {{\nsecret {SECRET} {SECRET}\n}}")
    assert SECRET not in str(raised.value)
    report = check(lambda mistakes: load(f". {{\n{text}\n}}", environ={}, mistakes=mistakes))
    assert SECRET not in " ".join((*problem_lines(report), *served_lines(report)))


def test_the_cloud_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its endpoints; what is wrong with it is said with the place of the directive."""
    monkeypatch.setattr(type(plugin), "libraries", ())

    def problems() -> list[str]:
        text = ". {\nazure rg:a.b {\nenvironment AzureStackCloud\n}\n}"
        return problem_lines(check(lambda mistakes: load(text, environ={}, mistakes=mistakes)))

    file = tmp_path / "cloud.json"
    monkeypatch.setenv(STACK_FILE, str(file))
    begin = f"fastdns: plugin/azure: Corefile:2 - {STACK_FILE} names '{file}': "
    assert problems() == [f"{begin}No such file or directory"]
    for text in (
        "nonsense",
        "[]",
        "{}",
        '{"activeDirectoryEndpoint": 5, "resourceManagerEndpoint": 5}',
        "[" * 100_000,
    ):
        file.write_text(text)
        assert problems() == [f"{begin}expected JSON with activeDirectoryEndpoint and resourceManagerEndpoint"], (
            text[:20]
        )
    file.write_text(
        '{"activeDirectoryEndpoint": "https://login.a/", "resourceManagerEndpoint": "https://manager.a/", "x": 1}'
    )
    assert problems() == []
    assert endpoints("AZURESTACKCLOUD") == ("https://login.a", "https://manager.a")
    assert all(endpoints(name) == CLOUDS[name] for name in CLOUDS)


def test_libraries_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(plugin), "libraries", ("no_such.core", "no_such.identity"))
    report = check(lambda mistakes: load(". {\nazure rg:a.b\n}", environ={}, mistakes=mistakes))
    assert problem_lines(report) == [
        "fastdns: plugin/azure: Corefile:2 - it needs no_such.core and no_such.identity: pip "
        "install 'fastdns[azure]'"
    ]
