"""The options of etcd, and what is wrong with others; keys and values as names and records."""

from __future__ import annotations

from typing import Any

import pytest

from fastdns.corefile import load
from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.plugins.api import Check
from fastdns.plugins.etcd.config import Config, clean_path
from fastdns.plugins.etcd.keys import Keys
from fastdns.plugins.etcd.plugin import plugin
from fastdns.plugins.etcd.services import fields_of, record_of


def loaded(options: str, arguments: str = "") -> ServerConfig:
    return load(f"sky.test {{\n    root /base\n    etcd {arguments} {{\n{options}\n    }}\n}}\n")


def config(options: str, arguments: str = "") -> Config:
    found = loaded(options, arguments).blocks[0].plugins["etcd"]
    assert isinstance(found, Config)
    return found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {}),
        ("path /x/../sky//dns/", {"path": "/sky/dns"}),
        ("path sky", {"path": "/sky"}),
        ("path /", {"path": ""}),
        ("endpoint http://a:1 https://b etcd.example:2379 http://[::1]:5/", {
            "endpoints": ("http://a:1", "https://b", "//etcd.example:2379", "http://[::1]:5"),
        }),
        ("endpoint http://a\nendpoint http://b", {"endpoints": ("http://b",)}),
        ("credentials me secret", {"username": "me", "password": "secret"}),
        ("tls", {"tls": ()}),
        ("tls ca.pem", {"tls": ("/base/ca.pem",)}),
        ("tls /c.pem k.pem ca.pem", {"tls": ("/c.pem", "/base/k.pem", "/base/ca.pem")}),
        ("min-lease-ttl 60\nmax-lease-ttl 2h30m", {"min_lease_ttl_s": 60, "max_lease_ttl_s": 9000}),
        ("min-lease-ttl 0\nmax-lease-ttl 0s", {}),
        ("min-lease-ttl 1500ms", {"min_lease_ttl_s": 1}),
        ("fallthrough", {"fallthrough": (".",)}),
        ("fallthrough b.sky.test 10.0.0.0/8", {"fallthrough": ("b.sky.test.", "10.in-addr.arpa.")}),
        ("stubzones\nupstream 1.2.3.4\ndebug", {}),
    ],
)  # fmt: skip
def test_options(options: str, expected: dict[str, Any]) -> None:
    assert config(options) == Config(("sky.test.",), **expected)


def test_zones() -> None:
    assert config("", "a.test 10.0.0.0/24").zones == ("a.test.", "0.0.10.in-addr.arpa.")


def test_options_that_do_nothing_are_said() -> None:
    said = loaded("stubzones\nupstream").warnings[1:]
    assert [line.partition(";")[0] for line in said] == [
        "plugin/etcd: the option stubzones does nothing, as in CoreDNS",
        "plugin/etcd: the option upstream does nothing, as in CoreDNS",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("path", "wrong argument count or end of line after 'path', expected one argument"),
        ("path /a /b", "expected one argument"),
        ("endpoint", "expected at least one argument"),
        ("endpoint ftp://a", "'ftp://a' is no endpoint; one looks like http://localhost:2379"),
        ("endpoint http://a/v3", "is no endpoint"),
        ("endpoint http://me@a", "is no endpoint"),
        ("endpoint http://a:99999", "is no endpoint"),
        ("endpoint http://", "is no endpoint"),
        ("credentials me", "expected a user name and a password"),
        ("tls a b c d", "expected at most three files"),
        ("min-lease-ttl", "expected one argument"),
        ("min-lease-ttl soon", "min-lease-ttl: 'soon' is no duration"),
        ("max-lease-ttl -5", "max-lease-ttl must be"),
        ("max-lease-ttl 4294967296", "max-lease-ttl must be"),
        ("stubzones a", "expected no argument"),
        ("ttl 5", "unknown option 'ttl'"),
    ],
)
def test_mistakes(options: str, message: str) -> None:
    with pytest.raises(FastdnsError) as error:
        loaded(options)
    assert message in str(error.value)
    assert "plugin/etcd: Corefile:4 - Error during parsing" in str(error.value)


def test_files_that_are_not_there() -> None:
    from fastdns.corefile.mistakes import Mistakes
    from fastdns.skipped import SkippedLines

    with pytest.raises(FastdnsError, match=r"plugin/etcd.* the files of tls, /none.pem"):
        plugin.check(Check(loaded("tls /none.pem"), SkippedLines(), Mistakes()))


def test_blocks_share_a_source_where_only_the_step_differs() -> None:
    one, two = config("fallthrough\nmax-lease-ttl 5"), config("")
    assert plugin.source_identity(one) == plugin.source_identity(two)
    assert plugin.source_identity(one) != plugin.source_identity(config("path /other"))
    assert plugin.answered_zones(one) == ()
    assert plugin.answered_zones(two) == ("sky.test.",)


@pytest.mark.parametrize(("text", "path"), [("", ""), ("//", ""), ("../a", "/a"), ("a/./b/", "/a/b")])
def test_paths(text: str, path: str) -> None:
    assert clean_path(text) == path


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("/skydns/test/sky/a/B", b"\1B\1a\3sky\4test\0"),
        ("/skydns/test/sky/a/", b"\1a\3sky\4test\0"),
        ("/skydns/test/sky/a.b", b"\1a\1b\3sky\4test\0"),
        ("/skydns/test/sky", b"\3sky\4test\0"),
        ("/skydns/test/skyline", None),
        ("/skydns/test/other/a", None),
        ("/skydns/test", None),
    ],
)
def test_names_of_keys(key: str, name: bytes | None) -> None:
    assert Keys.of(["sky.test.", "10.in-addr.arpa."], "/skydns").name_of(key.encode()) == name


@pytest.mark.parametrize("key", ["/z/a//b", "/z/" + "x" * 64, "/z" + "/abcdefg" * 40, "/z/a.", "/z//"])
def test_keys_that_are_no_names(key: str) -> None:
    with pytest.raises(ValueError, match="is not a domain name"):
        Keys.of(["z."], "").name_of(key.encode())


@pytest.mark.parametrize(
    ("zones", "path", "start", "end"),
    [
        (["sky.test."], "/skydns", b"/skydns/test/sky", b"/skydns/test/sky0"),
        (["a.test.", "b.a.test."], "/skydns", b"/skydns/test/a", b"/skydns/test/a0"),
        (["ab.test.", "ac.test."], "", b"/test", b"/test0"),
        (["test.", "10.in-addr.arpa."], "/skydns", b"/skydns", b"/skydns0"),
        (["test.", "arpa."], "", b"\0", b"\0"),
        (["."], "/skydns", b"/skydns", b"/skydns0"),
        ([".", "test."], "", b"\0", b"\0"),
    ],
)
def test_the_range_that_is_followed(zones: list[str], path: str, start: bytes, end: bytes) -> None:
    keys = Keys.of(zones, path)
    assert (keys.start, keys.end) == (start, end)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "it is no JSON"),
        (b"\xff", "it is no JSON"),
        (b"[" * 100000, "it is no JSON"),
        (b'"text"', "it is no JSON object"),
        (b"[]", "it is no JSON object"),
        (b'{"host":5}', "host is 5; expected a text"),
        (b'{"port":"80"}', "port is '80'; expected a whole number"),
        (b'{"port":80.0}', "port is 80.0; expected a whole number"),
        (b'{"port":true}', "port is True; expected a whole number"),
        (b'{"mail":1}', "mail is 1; expected true or false"),
        (b'{"port":65536}', "port is 65536; expected -1 to 65535"),
        (b'{"priority":-1}', "priority is -1; expected 0 to 65535"),
        (b'{"weight":2147483648}', "weight is 2147483648; expected 0 to 2147483647"),
        (b'{"ttl":4294967296}', "ttl is 4294967296; expected 0 to 4294967295"),
        (b'{"host":"a..b"}', "host is 'a..b'; expected an address or a domain name"),
        (b'{"host":"' + b"x" * 64 + b'"}', "expected an address or a domain name"),
        (b'{"text":"' + b"x" * 60001 + b'"}', "its text has over 60000 bytes"),
        (b'{"group":"' + b"x" * 256 + b'"}', "its group has over 255 bytes"),
    ],
)
def test_values_that_are_no_services(value: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=" ") as error:
        record_of(b"/z/a", b"\1z\0", value, 0)
    assert why in str(error.value)
    assert len(str(error.value)) < 200


def test_values() -> None:
    assert fields_of(b' {"Host":"a","host":"b","TTL":7,"other":{},"text":null} ') == {"host": "b", "ttl": 7}
    assert fields_of(b"null") == {}
    for host in ("10.0.0.1", "::1", "::ffff:10.0.0.1", "a.b.", "\\065\\.b", "*.a"):
        assert record_of(b"/z/a", b"\1z\0", b'{"host":"%s"}' % host.replace("\\", "\\\\").encode(), 5)
