"""An authority that issues certificates by ACME: of RFC 8555 what a client with dns-01 needs.

It checks signatures, nonces and addresses of requests as the RFC wants, and asks a DNS server to validate names.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import secrets
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.plugins.forward.certificates import Authority


class Problem(Exception):
    """An error of RFC 8555 section 6.7."""

    def __init__(self, kind: str, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.status = kind, detail, status


def unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class AcmeAuthority:
    """``with AcmeAuthority(folder) as authority``: it issues by the certificate ``issuer.ca``.

    dns_port: of the server on 127.0.0.1 that it asks. lifetime_s: of what it issues. refuse: called with the path
    of each signed request; what it returns is the error that is sent. over_tls: at https://localhost.
    """

    def __init__(self, folder: Path, dns_port: int = 0, *, over_tls: bool = False) -> None:
        self.issuer = Authority(folder)
        self.dns_port = dns_port
        self.lifetime_s = 3600.0
        self.refuse: Callable[[str], Problem | None] = lambda path: None
        self.lock = threading.Lock()
        self.nonces: set[str] = set()
        self.accounts: dict[str, dict[str, Any]] = {}
        self.orders: list[dict[str, Any]] = []
        self.validations: list[tuple[str, list[str]]] = []
        self.requests: list[str] = []
        handler = type("Bound", (Handler,), {"authority": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.scheme = "http"
        if over_tls:
            self.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.issuer.issue("acme", ("localhost", "acme.example")))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.host = "localhost" if over_tls else "127.0.0.1"

    @property
    def base(self) -> str:
        return f"{self.scheme}://{self.host}:{self.server.server_port}"

    @property
    def url(self) -> str:
        """Of the directory."""
        return f"{self.base}/directory"

    def __enter__(self) -> AcmeAuthority:
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def nonce(self) -> str:
        with self.lock:
            made = packed(secrets.token_bytes(12))
            self.nonces.add(made)
            return made

    # Requests

    def verified(self, url: str, body: bytes) -> tuple[str, Any]:
        """The account's id, "" before there is one, and what is asked (RFC 8555 section 6.2). Raises Problem."""
        sent = json.loads(body)
        header = json.loads(unpacked(sent["protected"]))
        with self.lock:
            if header["nonce"] not in self.nonces:
                raise Problem("badNonce", "the nonce is not known")
            self.nonces.remove(header["nonce"])
        if header["url"] != url:
            raise Problem("unauthorized", f"signed for {header['url']}, sent to {url}", 403)
        account = header.get("kid", "")
        if account and account not in self.accounts:
            raise Problem("accountDoesNotExist", "there is no such account")
        jwk = self.accounts[account]["jwk"] if account else header["jwk"]
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(unpacked(jwk["x"]), "big"), int.from_bytes(unpacked(jwk["y"]), "big"), ec.SECP256R1()
        )
        signature = unpacked(sent["signature"])
        pair = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        signed = f"{sent['protected']}.{sent['payload']}".encode()
        try:
            numbers.public_key().verify(pair, signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Problem("malformed", "the signature is wrong") from None
        payload = json.loads(unpacked(sent["payload"])) if sent["payload"] else None
        return account, {"jwk": jwk, **payload} if not account else payload

    def directory(self) -> dict[str, Any]:
        return {
            "newNonce": f"{self.base}/nonce", "newAccount": f"{self.base}/new-account",
            "newOrder": f"{self.base}/new-order",
        }  # fmt: skip

    def new_account(self, wanted: dict[str, Any]) -> tuple[int, str, dict[str, Any]]:
        jwk = wanted.pop("jwk")
        for known, account in self.accounts.items():
            if account["jwk"] == jwk:
                return 200, known, {"status": "valid"}
        if not wanted.get("termsOfServiceAgreed"):
            raise Problem("userActionRequired", "the terms are not agreed to", 403)
        url = f"{self.base}/account/{len(self.accounts)}"
        self.accounts[url] = {"jwk": jwk, "contact": wanted.get("contact", [])}
        return 201, url, {"status": "valid", "contact": wanted.get("contact", [])}

    def new_order(self, account: str, wanted: dict[str, Any]) -> tuple[int, str, dict[str, Any]]:
        number = len(self.orders)
        names = [one["value"] for one in wanted["identifiers"]]
        order = {
            "account": account, "status": "pending", "names": names,
            "tokens": [packed(secrets.token_bytes(16)) for _ in names], "states": ["pending"] * len(names),
            "errors": [None] * len(names), "certificate": None,
        }  # fmt: skip
        self.orders.append(order)
        return 201, f"{self.base}/order/{number}", self.order(number)

    def order(self, number: int) -> dict[str, Any]:
        order = self.orders[number]
        if "invalid" in order["states"]:
            order["status"] = "invalid"
        elif set(order["states"]) == {"valid"} and order["status"] == "pending":
            order["status"] = "ready"
        told = {
            "status": order["status"],
            "identifiers": [{"type": "dns", "value": name} for name in order["names"]],
            "authorizations": [f"{self.base}/authz/{number}/{which}" for which in range(len(order["names"]))],
            "finalize": f"{self.base}/finalize/{number}",
        }
        if order["certificate"]:
            told["certificate"] = f"{self.base}/certificate/{number}"
        return told

    def authorization(self, number: int, which: int) -> dict[str, Any]:
        order = self.orders[number]
        name = order["names"][which]
        return {
            "status": order["states"][which],
            "identifier": {"type": "dns", "value": name.removeprefix("*.")},
            "wildcard": name.startswith("*."),
            "challenges": [self.challenge(number, which)],
        }

    def challenge(self, number: int, which: int) -> dict[str, Any]:
        order = self.orders[number]
        told = {
            "type": "dns-01", "url": f"{self.base}/challenge/{number}/{which}", "token": order["tokens"][which],
            "status": order["states"][which],
        }  # fmt: skip
        if order["errors"][which]:
            told["error"] = order["errors"][which]
        return told

    def validate(self, number: int, which: int) -> None:
        """Look for the record (RFC 8555 section 8.4)."""
        order = self.orders[number]
        jwk = self.accounts[order["account"]]["jwk"]
        canonical = json.dumps({key: jwk[key] for key in ("crv", "kty", "x", "y")}, separators=(",", ":"))
        thumbprint = packed(hashlib.sha256(canonical.encode()).digest())
        wanted = packed(hashlib.sha256(f"{order['tokens'][which]}.{thumbprint}".encode()).digest())
        name = f"_acme-challenge.{order['names'][which].removeprefix('*.')}"
        found: list[str] = []
        try:
            # In another case, as authorities do that mix it.
            reply = dns.query.udp(dns.message.make_query(name.upper(), "TXT"), "127.0.0.1", 5, self.dns_port)
            found = [data.strings[0].decode() for rrset in reply.answer for data in rrset]
        except (dns.exception.DNSException, OSError):
            pass
        self.validations.append((name, found))
        order["states"][which] = "valid" if wanted in found else "invalid"
        if wanted not in found:
            detail = f"no TXT record of {name} has the value"
            order["errors"][which] = {"type": "urn:ietf:params:acme:error:unauthorized", "detail": detail}

    def finalize(self, number: int, csr: x509.CertificateSigningRequest) -> None:
        order = self.orders[number]
        if self.order(number)["status"] != "ready":
            raise Problem("orderNotReady", "domains are not validated", 403)
        asked = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if sorted(asked.get_values_for_type(x509.DNSName)) != sorted(order["names"]) or not csr.is_signature_valid:
            raise Problem("badCSR", "other names than those of the order")
        now = datetime.datetime.now(datetime.UTC)
        # As if it was issued some time ago.
        begins = now - datetime.timedelta(hours=1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.issuer.name)
            .public_key(csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(now + datetime.timedelta(seconds=self.lifetime_s))
            .add_extension(asked, critical=True)
            .sign(self.issuer.key, hashes.SHA256())
        )
        order["certificate"] = certificate.public_bytes(serialization.Encoding.PEM)
        order["status"] = "valid"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    authority: AcmeAuthority
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes, kind: str, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Replay-Nonce", self.authority.nonce())
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        challenge = self.path.split("/")
        if challenge[1] == "challenge":
            self.send_header("Link", f'<{self.authority.base}/authz/{challenge[2]}/{challenge[3]}>;rel="up"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def tell(self, what: object, status: int = 200, location: str = "") -> None:
        self.answer(status, json.dumps(what).encode(), "application/json", location)

    def do_GET(self) -> None:
        self.tell(self.authority.directory())

    def do_HEAD(self) -> None:
        self.answer(200, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        authority = self.authority
        authority.requests.append(self.path)
        try:
            problem = authority.refuse(self.path)
            if problem is not None:
                raise problem
            account, asked = authority.verified(authority.base + self.path, body)
            self.act(account, asked)
        except Problem as error:
            told = {"type": f"urn:ietf:params:acme:error:{error.kind}", "detail": error.detail}
            self.answer(error.status, json.dumps(told).encode(), "application/problem+json")

    def act(self, account: str, asked: Any) -> None:
        """One signed request. asked: None where something is only read."""
        authority = self.authority
        what, *numbers = self.path.strip("/").split("/")
        places = [int(number) for number in numbers]
        if what == "new-account":
            status, url, told = authority.new_account(asked)
            self.tell(told, status, url)
        elif not account:
            raise Problem("unauthorized", "an account is needed", 403)
        elif what == "new-order":
            status, url, told = authority.new_order(account, asked)
            self.tell(told, status, url)
        elif what == "order":
            self.tell(authority.order(*places))
        elif what == "authz":
            self.tell(authority.authorization(*places))
        elif what == "challenge":
            authority.validate(*places)
            self.tell(authority.challenge(*places))
        elif what == "finalize":
            authority.finalize(places[0], x509.load_der_x509_csr(unpacked(asked["csr"])))
            self.tell(authority.order(places[0]), 200, f"{authority.base}/order/{places[0]}")
        else:
            self.answer(200, authority.orders[places[0]]["certificate"], "application/pem-certificate-chain")
