"""What dnssec reads of a Corefile, and what it says of keys that it cannot use."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fastdns.corefile import load
from fastdns.dns.signing_keys import load_files, to_key
from fastdns.errors import CorefileError, FastdnsError
from fastdns.plugins.dnssec import keys
from fastdns.plugins.dnssec.config import Config, KeySource
from fastdns.plugins.dnssec.shared import look_at, share_signatures
from tests.plugins.dnssec import keyfiles
from tests.plugins.dnssec.keyfiles import ED25519, KSK, P256, P384, RSASHA256, ZSK, make_key


def parsed(text: str, zone: str = "example.org") -> Config:
    config = load(f"{zone}:1053 {{\n    root /keys\n    {text}\n    whoami\n}}\n", "Corefile")
    found = config.blocks[0].plugins["dnssec"]
    assert isinstance(found, Config)
    return found


def files(*names: str) -> tuple[KeySource, ...]:
    return tuple(KeySource("file", name) for name in names)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("dnssec", Config(("example.org.",))),
        ("dnssec 10.0.0.0/8", Config(("10.in-addr.arpa.",))),
        ("dnssec a.b b.a.b", Config(("b.a.b.", "a.b."))),
        ("dnssec {\n cache_capacity 100\n }", Config(("example.org.",), capacity=100)),
        ("dnssec {\n key file K /K\n }", Config(("example.org.",), files("/keys/K", "/K"))),
        ("dnssec {\n key file K.key\n key file L.private\n }",
         Config(("example.org.",), files("/keys/K", "/keys/L"))),
        ("dnssec {\n key aws_secretsmanager arn:x\n }",
         Config(("example.org.",), (KeySource("aws_secretsmanager", "arn:x"),))),
    ],
)  # fmt: skip
def test_options(text: str, wanted: Config) -> None:
    assert parsed(text) == wanted


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("dnssec {\n key\n }", "file or aws_secretsmanager, and keys"),
        ("dnssec {\n key vault K\n }", "file or aws_secretsmanager, and keys"),
        ("dnssec {\n key file\n }", "one key at least"),
        ("dnssec {\n cache_capacity\n }", "one argument"),
        ("dnssec {\n cache_capacity -1\n }", "from 0 to 10000000"),
        ("dnssec {\n cache_capacity much\n }", "whole number"),
        ("dnssec {\n keys file K\n }", "unknown option 'keys'; did you mean 'key'"),
        ("dnssec\n dnssec", "once"),
        ("dnssec {\n key file " + "K " * 17 + "\n }", "more than 16 keys"),
    ],
)
def test_errors_have_file_and_line(text: str, error: str) -> None:
    with pytest.raises(CorefileError, match=error) as raised:
        parsed(text)
    assert "Corefile:" in str(raised.value)


@pytest.mark.parametrize(
    ("algorithm", "size"),
    [(keyfiles.RSASHA1, 128), (RSASHA256, 128), (keyfiles.RSASHA512, 128), (P256, 64), (P384, 96), (ED25519, 64)],
)
def test_every_algorithm_is_read(tmp_path: Path, algorithm: int, size: int) -> None:
    made = make_key(tmp_path, "example.org.", algorithm, KSK, bits=1024)
    key = keys.load_key(KeySource("file", str(made.base)))
    assert (key.dnskey, key.tag, key.signature_bytes, key.is_sep) == (made.dnskey, made.tag, size, True)
    assert len(key.private.sign(b"data")) == size


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    made = make_key(tmp_path, "example.org.")
    public, private = Path(f"{made.base}.key"), Path(f"{made.base}.private")
    texts = public.read_text(), private.read_text()
    other = make_key(tmp_path, "example.org.")
    cases = [
        (public, "IN DNSKEY", "IN TXT", "no public key found"),
        (public, " 256 ", " 0 ", "no zone key"),
        (public, "DNSKEY 256", "DNSKEY x", "key: "),
        (public, texts[0], "", "no public key found"),
        (public, texts[0], "$GENERATE 1-999999999 a$ A 192.0.2.1\n", "no public key found"),
        (private, "Algorithm: 13", "Algorithm: 14", "its algorithm is 14"),
        (private, "Algorithm", "Algo", "no private key found"),
        (private, "PrivateKey: ", "PrivateKey: !", "no private key found"),
        (private, texts[1], "", "no private key found"),
        (private, texts[1], Path(f"{other.base}.private").read_text(), "is not the private key of"),
        (private, texts[1], "x" * 70000, "has more than 65536 bytes"),
    ]
    for path, old, new, error in cases:
        changed(path, old, new)
        with pytest.raises(FastdnsError, match=error):
            keys.load_key(KeySource("file", str(made.base)))
        public.write_text(texts[0])
        private.write_text(texts[1])
    private.unlink()
    with pytest.raises(FastdnsError, match=r"open .*\.private: No such file"):
        keys.load_key(KeySource("file", str(made.base)))


def test_files_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = tmp_path / "K.key"
    loop.symlink_to(loop)
    with pytest.raises(FastdnsError, match=r"open .*K\.key: Too many levels of symbolic links"):
        load_files(str(tmp_path / "K"))
    with pytest.raises(FastdnsError, match=r"open .*: embedded null (byte|character)"):
        load_files("K\0")

    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fastdns.dns.signing_keys.os.open", refuse)
    with pytest.raises(FastdnsError, match=r"open K\.key: Permission denied"):
        load_files("K")


@pytest.mark.parametrize("algorithm", [RSASHA256, P256, P384, ED25519])
def test_broken_keys_are_errors_of_ours(tmp_path: Path, algorithm: int) -> None:
    """Whatever two files hold: a key that can sign, or an error that says what is wrong."""
    made = make_key(tmp_path, "example.org.", algorithm, bits=1024)
    halves = [Path(f"{made.base}{suffix}").read_bytes() for suffix in (".key", ".private")]
    random = Random(algorithm)
    for _ in range(150):
        texts = [bytearray(half) for half in halves]
        changed = texts[random.randrange(2)]
        for _ in range(random.choice((1, 1, 2, 20))):
            at = random.randrange(len(changed) + 1)
            changed[at : at + random.choice((0, 1, 1, 40))] = random.choice(
                (b"", b"\n", b"A", b"=", b"9" * 30, random.randbytes(3), b"$INCLUDE x\n", b"( ")
            )
        with contextlib.suppress(FastdnsError):
            public, private = (bytes(text).decode("utf-8", "replace") for text in texts)
            key = to_key(public, private, "K")
            assert len(key.private.sign(b"data")) == key.signature_bytes


def test_a_key_signs_its_zone_and_zones_below(tmp_path: Path) -> None:
    source = KeySource("file", str(make_key(tmp_path, "example.org.").base))
    look_at(Config(("example.org.",), (source,)))
    look_at(Config(("a.example.org.", "b."), (source,)))
    error = r"key example\.org\. \(keyid: \d+\) can not sign any of the zones org\."
    with pytest.raises(FastdnsError, match=error):
        look_at(Config(("org.",), (source,)))


def test_capacity_is_bounded_by_bytes(tmp_path: Path) -> None:
    source = KeySource("file", str(make_key(tmp_path, "example.org.", RSASHA256).base))
    with pytest.raises(FastdnsError, match=r"cache_capacity 10000000: .* fit"):
        look_at(Config(("example.org.",), (source,), 10_000_000))


def test_a_reload_keeps_signatures_while_keys_stay(tmp_path: Path) -> None:
    zsk, ksk = (make_key(tmp_path, "example.org.", P256, flags) for flags in (ZSK, KSK))

    def config(*names: Path) -> Any:
        lines = "".join(f"        key file {name}\n" for name in names)
        return load(f"example.org:1053 {{\n    dnssec {{\n{lines}    }}\n    whoami\n}}\n")

    (first,) = share_signatures(config(zsk.base))
    (again,) = share_signatures(config(zsk.base), [first])
    assert again.signatures is first.signatures
    (other,) = share_signatures(config(zsk.base, ksk.base), [first])
    assert other.signatures is not first.signatures
    # Another key in the same files.
    new = make_key(tmp_path, "example.org.", P256, ZSK)
    for suffix in (".key", ".private"):
        Path(f"{zsk.base}{suffix}").write_text(Path(f"{new.base}{suffix}").read_text())
    (renewed,) = share_signatures(config(zsk.base), [first])
    assert renewed.signatures is not first.signatures


def test_secrets_of_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_key(tmp_path, "example.org.")
    halves = {"key": Path(f"{made.base}.key").read_text(), "private": Path(f"{made.base}.private").read_text()}
    secrets = {"good": json.dumps(halves), "half": json.dumps({"key": "x"}), "text": "x"}
    client = SimpleNamespace(get_secret_value=lambda SecretId: {"SecretString": secrets[SecretId]})
    boto3, botocore, config = (ModuleType(name) for name in ("boto3", "botocore", "botocore.config"))
    vars(boto3)["client"] = lambda service, config: client if service == "secretsmanager" else None
    vars(config)["Config"] = lambda **_: None
    for module in (boto3, botocore, config):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    assert keys.load_key(KeySource("aws_secretsmanager", "good")).dnskey == made.dnskey
    for name in ("half", "text", "missing"):
        with pytest.raises(FastdnsError, match=f"the secret '{name}' of AWS Secrets Manager"):
            keys.load_key(KeySource("aws_secretsmanager", name))


def test_secrets_of_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 itself asks, and is answered as AWS does."""
    pytest.importorskip("boto3")
    made = make_key(tmp_path, "example.org.")
    halves = {"key": Path(f"{made.base}.key").read_text(), "private": Path(f"{made.base}.private").read_text()}
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["SecretId"]
            asked.append((self.headers["X-Amz-Target"], name))
            found = name == "good"
            body = {"SecretString": json.dumps(halves)} if found else {"__type": "ResourceNotFoundException"}
            data = json.dumps(body).encode()
            self.send_response(200 if found else 400)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        for name, value in (
            ("ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{server.server_port}"),
            ("DEFAULT_REGION", "us-east-1"), ("ACCESS_KEY_ID", "id"), ("SECRET_ACCESS_KEY", "secret"),
        ):  # fmt: skip
            monkeypatch.setenv(f"AWS_{name}", value)
        assert keys.load_key(KeySource("aws_secretsmanager", "good")).dnskey == made.dnskey
        with pytest.raises(FastdnsError, match=r"the secret 'none' of AWS Secrets Manager: .*ResourceNotFound"):
            keys.load_key(KeySource("aws_secretsmanager", "none"))
        server.shutdown()
        thread.join()
    assert asked[0] == ("secretsmanager.GetSecretValue", "good")


def test_packages_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_key(tmp_path, "example.org.")
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(FastdnsError, match=r"boto3; pip install 'fastdns\[aws_secretsmanager\]'"):
        keys.load_key(KeySource("aws_secretsmanager", "x"))
    # dnspython imports it as well, where it is installed; it may be broken.
    for module in ("cryptography.hazmat.primitives.asymmetric", "dns.dnssec"):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(FastdnsError, match=r"cryptography; pip install 'fastdns\[dnssec\]'"):
            keys.load_key(KeySource("file", str(made.base)))
