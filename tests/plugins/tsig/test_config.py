"""The options of tsig, and files of secrets."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.corefile import load
from fastdns.dns.names import wire_name
from fastdns.errors import CorefileError, FastdnsError
from fastdns.plugins.tsig.config import Config
from fastdns.plugins.tsig.secrets import MAX_FILE_BYTES, key_rings, parse_keys, read_keys, secrets_of

ONE, TWO = b"one secret", b"two secrets"
ONE_TEXT, TWO_TEXT = base64.b64encode(ONE).decode(), base64.b64encode(TWO).decode()
KEY = wire_name("a.key.")


def options(text: str) -> Config:
    config: Config = load(f"example.org {{\n{text}\n}}", environ={}).blocks[0].plugins["tsig"]
    return config


ZONES = ("example.org.",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tsig", Config(ZONES)),
        ("tsig A.example.org b.example.org", Config(("a.example.org.", "b.example.org."))),
        (f"tsig {{\nsecret A.Key {ONE_TEXT}\n}}", Config(ZONES, ((KEY, ONE),))),
        (
            f"tsig {{\nsecret a.key. {ONE_TEXT}\nsecret b. {TWO_TEXT}\nsecrets x\nsecrets y\n}}",
            Config(ZONES, ((KEY, ONE), (b"\1b\0", TWO)), ("x", "y")),
        ),
        ("tsig {\nrequire A AXFR IXFR\n}", Config(ZONES, qtypes=frozenset({1, 252, 251}))),
        ("tsig {\nrequire all\n}", Config(ZONES, qtypes=None)),
        ("tsig {\nrequire none\n}", Config(ZONES)),
        ("tsig {\nrequire A\nrequire none\n}", Config(ZONES)),
        ("tsig {\nrequire A\nrequire MX\n}", Config(ZONES, qtypes=frozenset({15}))),
        ("tsig {\nrequire all\nrequire A\n}", Config(ZONES, qtypes=None)),
        ("tsig {\nrequire_opcode UPDATE NOTIFY\n}", Config(ZONES, opcodes=frozenset({4, 5}))),
        ("tsig {\nrequire_opcode QUERY IQUERY STATUS\n}", Config(ZONES, opcodes=frozenset({0, 1, 2}))),
        ("tsig {\nrequire_opcode all\nrequire ANY\n}", Config(ZONES, qtypes=frozenset({255}), opcodes=None)),
        ("tsig {\nrequire_opcode none\n}", Config(ZONES)),
    ],
)
def test_options(text: str, expected: Config) -> None:
    assert options(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tsig\ntsig", "Corefile:3 - .*only once"),
        ("tsig {\nblah\n}", "Corefile:3 - .*unknown option 'blah'"),
        ("tsig {\nsecret name.\n}", "expected the name of a key and its secret"),
        ("tsig {\nsecret name. too many\n}", "expected the name of a key and its secret"),
        ("tsig {\nsecret name. not*base64\n}", "the secret is not base64"),
        ("tsig {\nsecret name. QQ\n}", "the secret is not base64"),
        ('tsig {\nsecret name. ""\n}', "the secret is empty"),
        (f"tsig {{\nsecret a..b {ONE_TEXT}\n}}", "'a..b' is not a domain name"),
        (f"tsig {{\nsecret a {ONE_TEXT}\nsecret A. {TWO_TEXT}\n}}", "Corefile:4 - .*key 'A.' redefined"),
        ("tsig {\nsecrets\n}", "expected one argument"),
        ("tsig {\nsecrets a b\n}", "expected one argument"),
        ("tsig {\nrequire\n}", "expected at least one query type, all or none"),
        ("tsig {\nrequire a\n}", "unknown query type 'a'"),
        ("tsig {\nrequire A none\n}", "unknown query type 'none'"),
        ("tsig {\nrequire all A\n}", "unexpected 'A' behind all"),
        ("tsig {\nrequire none A\n}", "unexpected 'A' behind none"),
        ("tsig {\nrequire_opcode\n}", "expected at least one opcode, all or none"),
        ("tsig {\nrequire_opcode INVALID\n}", "unknown opcode 'INVALID'"),
    ],
)
def test_errors(text: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        options(text)


def test_secrets_are_in_no_text() -> None:
    config = options(f"tsig {{\nsecret a.key {ONE_TEXT}\n}}")
    assert "one secret" not in repr(config) and ONE_TEXT not in repr(config)
    with pytest.raises(CorefileError) as raised:
        options("tsig {\nsecret a.key topsecret!\n}")
    assert "topsecret" not in str(raised.value)


# Files of secrets

BIND = f'''
# a comment
// another one
key "a.key." {{
    algorithm hmac-sha256;
    secret "{ONE_TEXT}";
}};
key b {{
    secret {TWO_TEXT}
}}
key c {{ secret "{ONE_TEXT}"; algorithm hmac-sha512; }}; key "D" {{
    secret "{TWO_TEXT}" ;
}} ;
'''


def test_a_file() -> None:
    assert parse_keys(BIND) == {KEY: ONE, b"\1b\0": TWO, b"\1c\0": ONE, b"\1d\0": TWO}
    assert parse_keys("") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zone x {", "line 1: unexpected token 'zone'"),
        ("\n\nkey", "line 3: expected the name of a key, got ''"),
        ("key {", "line 1: expected the name of a key, got '{'"),
        ('key "" {', "line 1: expected the name of a key"),
        ("key a\nsecret", "line 2: expected {, got 'secret'"),
        ("key a {\nsecret", "line 2: expected a secret, got ''"),
        ("key a {\nsecret ;", "line 2: expected a secret, got ';'"),
        ("key a {\nname b", "line 2: expected algorithm, secret or }, got 'name'"),
        ("key a {\nsecret QUFB", "line 2: expected algorithm, secret or }, got ''"),
        ("key a {\n};", "line 1: expected a secret for key 'a'"),
        ("key a {\nsecret x!;\n}", "line 1: the secret is not base64"),
        ("key a {\nsecret QUFB\n}\nkey A. {\nsecret QUFB\n}", "line 4: key 'A.' redefined"),
        ("key a..b {\nsecret QUFB\n}", "line 1: 'a..b' is not a domain name"),
    ],
)
def test_errors_of_a_file(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        parse_keys(text)


PIECES = [*'{};"\n #/', "key ", "secret ", "algorithm ", '"a"', "QUFB", "é", " x"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=20))
def test_any_file(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        found = parse_keys(text)
    except ValueError as error:
        assert str(error).startswith("line "), text
    else:
        assert all(secret for secret in found.values())


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(FastdnsError, match="missing: No such file"):
        read_keys(str(tmp_path / "missing"))
    with pytest.raises(FastdnsError, match="Is a directory"):
        read_keys(str(tmp_path))
    large = tmp_path / "large"
    large.write_text("#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(FastdnsError, match="more than 1048576 bytes"):
        read_keys(str(large))
    large.write_bytes(b"\xff")
    with pytest.raises(FastdnsError, match="large: 'utf-8'"):
        read_keys(str(large))


def test_a_name_is_in_one_place_only(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(BIND)
    assert secrets_of(options(f"tsig {{\nsecrets {file}\nsecret e {ONE_TEXT}\n}}"))[b"\1e\0"] == ONE
    with pytest.raises(FastdnsError, match=r"keys: key 'a\.key\.' redefined"):
        secrets_of(options(f"tsig {{\nsecrets {file}\nsecret A.key {ONE_TEXT}\n}}"))


def test_blocks_share_the_keys_of_their_listeners() -> None:
    blocks = [("a:53", "one"), ("b:53 b:54", "two"), ("c:55", "three"), ("d:55", "three"), ("e:53", "one")]
    text = "\n".join(f"{zone} {{\ntsig {{\nsecret {name} {ONE_TEXT}\n}}\n}}" for zone, name in blocks)
    rings = key_rings(load(text, environ={}))
    assert [rings[number].names for number in range(5)] == [
        [wire_name(name) for name in names]
        for names in (["one", "two"], ["one", "two"], ["three"], ["three"], ["one", "two"])
    ]
    assert rings[0] is rings[1] and rings[2] is rings[3]


def test_too_many_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastdns.plugins.tsig.secrets.MAX_KEYS", 1)
    config = load(f"a {{\ntsig {{\nsecret x {ONE_TEXT}\nsecret y {ONE_TEXT}\n}}\n}}", environ={})
    with pytest.raises(FastdnsError, match="a listener has 2 keys; expected at most 1"):
        key_rings(config)
