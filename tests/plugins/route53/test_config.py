"""The options of route53, and what the server looks for before it starts."""

from __future__ import annotations

import pytest

from fastdns.check import check, problem_lines, served_lines
from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.hostedzones.config import Config, HostedZone, Listing
from fastdns.plugins.route53.config import Access
from fastdns.plugins.route53.plugin import plugin

ZONE = HostedZone("example.org.", "Z1")
SECRET = "wJalrXUtnFEMI"


def parsed(text: str) -> Config:
    config = load(f". {{\n{text}\n}}", environ={}).blocks[0].plugins["route53"]
    assert isinstance(config, Config)
    return config


def one(access: Access = Access(), refresh_s: float = 60.0, *zones: HostedZone) -> Config:  # noqa: B008
    return Config((Listing(zones or (ZONE,), access, refresh_s),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("route53", Config((Listing((), Access()),))),
        ("route53 example.org:Z1", one()),
        ("route53 Example.ORG.:Z1", one()),
        ("route53 example.org:a:b", one(Access(), 60.0, HostedZone("example.org.", "a:b"))),
        ("route53 example.org:Z1 example.org:Z2", one(Access(), 60.0, ZONE, HostedZone("example.org.", "Z2"))),
        (f"route53 example.org:Z1 {{\naws_access_key ID {SECRET}\n}}", one(Access(key_id="ID", secret_key=SECRET))),
        ("route53 example.org:Z1 {\naws_endpoint http://127.0.0.1:4566\n}", one(Access("http://127.0.0.1:4566"))),
        ("route53 example.org:Z1 {\ncredentials dns\n}", one(Access(profile="dns"))),
        ("route53 example.org:Z1 {\ncredentials dns file\n}", one(Access(profile="dns", shared_file="file"))),
        ("route53 example.org:Z1 {\nrefresh 90\n}", one(refresh_s=90.0)),
        ("route53 example.org:Z1 {\nrefresh 3m }", one(refresh_s=180.0)),
        ("route53 example.org:Z1 {\nupstream 1.2.3.4\n}", one()),
        (
            "route53 example.org:Z1 {\nfallthrough\n}",
            Config((Listing((ZONE,), Access()),), ("example.org.",)),
        ),
        (
            "route53 example.org:Z1 {\nfallthrough a.example.org org b.test\n}",
            Config((Listing((ZONE,), Access()),), ("a.example.org.", "example.org.")),
        ),
        # Each directive has its own options.
        (
            "route53 example.org:Z1 {\nrefresh 1s\nfallthrough\n}\nroute53 b.test:Z2",
            Config(
                (Listing((ZONE,), Access(), 1.0), Listing((HostedZone("b.test.", "Z2"),), Access())),
                ("example.org.",),
            ),
        ),
    ],
)
def test_options(text: str, expected: Config) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("route53 example.org", "2 - Error during parsing: invalid zone 'example.org'"),
        ("route53 :Z1", "2 - Error during parsing: invalid zone ':Z1'"),
        ("route53 example.org:", "2 - Error during parsing: invalid zone 'example.org:'"),
        ("route53 a..b:Z1", "2 - Error during parsing: 'a..b' is not a valid domain name"),
        ("route53 a.b:Z1 a.b.:Z1", "2 - Error during parsing: conflict zone 'a.b.:Z1'"),
        ("route53 a.b:Z1 {\nrefresh\n}", "3 - Error during parsing: wrong argument count"),
        ("route53 a.b:Z1 {\nrefresh foo\n}", "3 - Error during parsing: refresh: 'foo' is no duration"),
        ("route53 a.b:Z1 {\nrefresh 0\n}", "3 - Error during parsing: refresh must be at least"),
        ("route53 a.b:Z1 {\nrefresh -1m\n}", "3 - Error during parsing: refresh must be at least"),
        ("route53 a.b:Z1 {\naws_endpoint\n}", "3 - Error during parsing: wrong argument count"),
        ("route53 a.b:Z1 {\naws_endpoint 127.0.0.1\n}", "3 - Error during parsing: '127.0.0.1' is no endpoint"),
        ("route53 a.b:Z1 {\naws_endpoint http://[x\n}", "3 - Error during parsing: 'http://[x' is no endpoint"),
        ("route53 a.b:Z1 {\ncredentials\n}", "3 - Error during parsing: wrong argument count"),
        ("route53 a.b:Z1 {\ncredentials a b c\n}", "3 - Error during parsing: wrong argument count"),
        ("route53 a.b:Z1 {\nwat\n}", "3 - Error during parsing: unknown option 'wat'"),
    ],
)
def test_mistakes(text: str, said: str) -> None:
    with pytest.raises(CorefileError, match=r"^plugin/route53: Corefile:") as raised:
        parsed(text)
    assert said in str(raised.value)


@pytest.mark.parametrize("args", [SECRET, f"ID {SECRET} more"])
def test_mistakes_show_no_secret(args: str) -> None:
    with pytest.raises(CorefileError, match=r"Corefile:3 - .*aws_access_key needs") as raised:
        parsed(f"route53 a.b:Z1 {{\naws_access_key {args}\n}}")
    assert SECRET not in str(raised.value)


def test_too_many_hosted_zones_with_one_name() -> None:
    with pytest.raises(CorefileError, match=r"over 255 hosted zones have the name a\.b\."):
        parsed("route53 " + " ".join(f"a.b:Z{number}" for number in range(256)))


def test_configurations_show_no_secret() -> None:
    config = parsed(f"route53 a.b:Z1 {{\naws_access_key ID {SECRET}\n}}")
    assert SECRET not in repr(config)
    assert config.listings[0].secrets() == [SECRET]


@pytest.mark.parametrize("library", ["botocore_is_not_here", "botocore.is_not_here"])
def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """The error has file and line, and says what to install; and the configuration is read without the library."""
    text = f". {{\nwhoami\nroute53 a.b:Z1 {{\naws_access_key ID {SECRET}\n}}\n}}"
    monkeypatch.setattr(type(plugin), "libraries", (library,))
    report = check(lambda mistakes: load(text, environ={}, mistakes=mistakes))
    assert problem_lines(report) == [
        f"fastdns: plugin/route53: Corefile:3 - it needs {library}: pip install 'fastdns[route53]'"
    ]
    monkeypatch.setattr(type(plugin), "libraries", ("json.decoder",))
    report = check(lambda mistakes: load(text, environ={}, mistakes=mistakes))
    assert report.right and not problem_lines(report)
    assert any("aws_access_key in Corefile has been deprecated" in line for line in served_lines(report))
    assert not any(SECRET in line for line in (*served_lines(report), str(report.differences)))
