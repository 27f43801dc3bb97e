"""Nomad's HTTP API: the services that there are, and the registrations of each.

What CoreDNS takes from the environment by way of Nomad's own library is taken from there, too: see Access.
"""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from fastdns.errors import FastdnsError
from fastdns.http.client import TRANSPORT_ERRORS, Session
from fastdns.plugins.nomad.config import Config
from fastdns.tls import client_context

DEFAULT_ADDRESS = "http://127.0.0.1:4646"
CONNECT_TIMEOUT_S = 5.0
SILENCE_S = 10.0
# How long a list may be waited for that is as before. Nomad adds a sixteenth at most.
WAIT_S = 30
MAX_ANSWER_BYTES = 16 << 20
# As Go reads a truth value.
TRUE = ("1", "t", "T", "TRUE", "true", "True")

T = TypeVar("T")


class NomadError(FastdnsError):
    """Nomad refuses a request, or answers what is no answer."""


# What can go wrong with an agent.
FAILURES = (*TRANSPORT_ERRORS, NomadError)


class ServiceStub(msgspec.Struct):
    """One service of a list."""

    ServiceName: str = ""


class NamespaceList(msgspec.Struct):
    """The services of one namespace."""

    Namespace: str = ""
    Services: list[ServiceStub] | None = None


class Registration(msgspec.Struct):
    """One instance of a service: where it is."""

    Address: str = ""
    Port: int = 0


LISTS = msgspec.json.Decoder(list[NamespaceList] | None)
REGISTRATIONS = msgspec.json.Decoder(list[Registration] | None)


def decoded(body: bytes, decoder: msgspec.json.Decoder[list[T] | None]) -> list[T]:
    """An answer; null is an empty list. Raises NomadError."""
    try:
        return decoder.decode(body) or []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NomadError(f"it answers what is none of Nomad's answers: {error}") from None


@dataclass(frozen=True, slots=True)
class Access:
    """What the environment says of how agents are asked: variables of Nomad's own tools."""

    address: str = DEFAULT_ADDRESS
    token: str = ""
    region: str = ""
    http_auth: str = ""
    ca_file: str = ""
    ca_path: str = ""
    certificate: str = ""
    key: str = ""
    server_name: str = ""
    skip_verify: bool = False

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Access:
        """What NOMAD_ADDR and its like say."""
        return cls(
            environ.get("NOMAD_ADDR") or DEFAULT_ADDRESS, environ.get("NOMAD_TOKEN", ""),
            environ.get("NOMAD_REGION", ""), environ.get("NOMAD_HTTP_AUTH", ""), environ.get("NOMAD_CACERT", ""),
            environ.get("NOMAD_CAPATH", ""), environ.get("NOMAD_CLIENT_CERT", ""),
            environ.get("NOMAD_CLIENT_KEY", ""), environ.get("NOMAD_TLS_SERVER_NAME", ""),
            environ.get("NOMAD_SKIP_VERIFY", "") in TRUE,
        )  # fmt: skip

    def tls(self) -> ssl.SSLContext:
        """The context for https. Raises OSError."""
        capath = None if self.ca_file else self.ca_path or None
        context = client_context(cafile=self.ca_file or None, capath=capath)
        if self.certificate and self.key:
            context.load_cert_chain(self.certificate, self.key)
        if self.skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def headers(self, token: str) -> dict[str, str]:
        """The headers of a request. token: of the Corefile, which comes first."""
        found = {"Accept": "application/json"}
        if token or self.token:
            found["X-Nomad-Token"] = token or self.token
        if self.http_auth:
            user, _, password = self.http_auth.partition(":")
            found["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        return found


class Client:
    """One agent. Methods raise FAILURES."""

    def __init__(self, config: Config, address: str, access: Access) -> None:
        self.config = config
        self.region = access.region
        self.headers = access.headers(config.token)
        unix = address.removeprefix("unix://") if address.startswith("unix://") else None
        url = "http://localhost" if unix is not None else address
        tls = access.tls() if url.startswith("https:") else None
        server_hostname = access.server_name or urlsplit(url).hostname
        # Lists are waited for as long as they are as before: not by a second connection.
        self.waiting, self.session = (
            Session(
                url, tls=tls, server_hostname=server_hostname, unix_path=unix, connect_timeout_s=CONNECT_TIMEOUT_S,
                fresh_after_s=fresh_after_s,
            )
            for fresh_after_s in (3600.0, 3.0)
        )  # fmt: skip

    async def services(self, index: int) -> tuple[list[NamespaceList], int]:
        """All services, and the list's index. index: of a list that is known, whose successor is waited for."""
        values = {"namespace": "*"}
        silence_s = SILENCE_S
        if index:
            values |= {"index": str(index), "wait": f"{WAIT_S}s"}
            silence_s += WAIT_S * 17 / 16
        session = self.waiting if index else self.session
        body, said = await self.get(session, "/v1/services", values, silence_s)
        try:
            number = int(said)
        except ValueError:
            raise NomadError(f"its index is {said[:40]!r}; expected a number") from None
        # What is lower than before is a state that was restored: everything is listed anew.
        found: list[NamespaceList] = decoded(body, LISTS)
        return found, number if number >= index else 0

    async def registrations(self, namespace: str, name: str) -> list[Registration]:
        """The instances of a service that pass the filter."""
        values = {"namespace": namespace}
        if self.config.filter:
            values["filter"] = self.config.filter
        body, _ = await self.get(self.session, f"/v1/service/{quote(name, safe='')}", values, SILENCE_S)
        found: list[Registration] = decoded(body, REGISTRATIONS)
        return found

    async def get(
        self, session: Session, path: str, values: Mapping[str, str], silence_s: float
    ) -> tuple[bytes, str]:
        """An answer, and its index."""
        if self.region:
            values = {**values, "region": self.region}
        response = await session.get(f"{path}?{urlencode(values)}", self.headers, silence_s=silence_s)
        try:
            body = await response.read(MAX_ANSWER_BYTES)
        finally:
            response.end()
        if len(body) >= MAX_ANSWER_BYTES:
            raise NomadError(f"an answer has over {MAX_ANSWER_BYTES} bytes")
        if response.status != 200:
            why = body[:200].decode(errors="replace").strip()
            raise NomadError(f"HTTP {response.status} {response.reason[:100]}{': ' if why else ''}{why}")
        return body, response.headers.get("x-nomad-index", "0")

    async def close(self) -> None:
        """Close all connections."""
        await self.waiting.close()
        await self.session.close()
