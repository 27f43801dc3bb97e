"""Where the API server is and how to speak to it, resolved from options, a kubeconfig or the cluster itself.

Rules:
- A kubeconfig wins over an endpoint, an endpoint over the cluster's own service account, as in CoreDNS.
- Certificates and keys are read when resolved and kept as PEM; resolving again picks up what was rotated.
- The service account's token stays a file: it is read again when the file changes, at least every 60 s, and
  when the server refuses it.
- A kubeconfig of plain data is read here (kubeconfig.py), any other by the ``kubernetes`` package in a short-lived
  child process: importing it costs some 60 MB and most of a second, and exec plugins then run outside of the
  process that holds the cluster.
- What is missing or broken before any server is asked ends the start (``check``), as in CoreDNS; a server that
  cannot be reached, and a credential plugin that fails, are for the source to try again.
- Every error is a SourceError that names the file or option and says what was expected there. Where CoreDNS has
  the error, too, it contains its words.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import json
import os
import signal
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastdns import tls
from fastdns.errors import SourceError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_MAX_AGE_S = 60.0
# An exec plugin may have to ask a cloud for a token; client-go waits for ever.
CREDENTIALS_TIMEOUT_S = 60.0
MAX_CREDENTIAL_FILE_BYTES = 4 << 20
# Of a Connection, what a session is made of; the rest goes with each request.
WAY = ("host_url", "ca_pem", "cert_pem", "key_pem", "server_name", "insecure", "proxy_url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One API server and the credentials for it. Secrets are kept out of repr, and so out of logs."""

    host_url: str
    ca_pem: str | None = field(default=None, repr=False)
    cert_pem: str | None = field(default=None, repr=False)
    key_pem: str | None = field(default=None, repr=False)
    server_name: str | None = None
    insecure: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    token_file: Path | None = None
    proxy_url: str | None = field(default=None, repr=False)
    expires_at: float | None = None

    @property
    def host(self) -> str:
        """host:port, as it stands in metrics."""
        return urlsplit(self.host_url).netloc.rpartition("@")[2]

    def same_server(self, other: Connection) -> bool:
        """Whether open sessions to other may go on under self: its credentials are for no other server's eyes."""
        return all(getattr(self, name) == getattr(other, name) for name in WAY)

    def ssl_context(self) -> ssl.SSLContext | None:
        """None for plain HTTP. Raises SourceError where certificate, key or CA cannot be used."""
        if not self.host_url.startswith("https:"):
            return None
        try:
            context = tls.client_context(cadata=self.ca_pem)
        except (ssl.SSLError, ValueError) as e:
            raise SourceError(
                f"the CA bundle for {self.host_url} is not usable: {e}; expected PEM certificates"
            ) from e
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert_pem is not None:
            # The ssl module takes a certificate from files only. This one is in memory: no folder may be writable.
            with os.fdopen(os.memfd_create("client certificate"), "w") as pem:
                pem.write(f"{self.cert_pem}\n{self.key_pem or ''}\n")
                pem.flush()
                try:
                    # A key behind a passphrase would make OpenSSL ask on the terminal: answer for it.
                    context.load_cert_chain(f"/proc/self/fd/{pem.fileno()}", password="")
                except (ssl.SSLError, ValueError) as e:
                    raise SourceError(
                        f"the client certificate and key for {self.host_url} are not usable: {e}; "
                        "expected a PEM certificate and its unencrypted PEM key"
                    ) from e
        return context


class TokenFile:
    """A bearer token that is replaced on disk while it is in use."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._stamp: tuple[int, int, int] | None = None
        self._read_at = 0.0
        self._token = ""

    def read(self, force: bool = False) -> str:
        """The current token. One that cannot be read any more is used on until it is refused."""
        now = self._clock()
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if not force and stamp == self._stamp and now - self._read_at < TOKEN_MAX_AGE_S:
                return self._token
            token = self.path.read_text("ascii").strip()
            if not token:
                raise SourceError(f"{self.path} is empty; expected the service account's token")
        except (OSError, ValueError, SourceError) as e:
            if self._token:
                return self._token
            if isinstance(e, SourceError):
                raise
            raise SourceError(f"open {self.path}: {reason(e)}; expected a bearer token") from e
        self._token, self._stamp, self._read_at = token, stamp, now
        return token


async def resolve(
    options: Any,
    *,
    environ: Mapping[str, str] | None = None,
    service_account: Path = SERVICE_ACCOUNT,
    timeout_s: float = CREDENTIALS_TIMEOUT_S,
    plugins: bool = True,
) -> Connection:
    """The connection that options (endpoint, tls, kubeconfig, context) ask for. Raises SourceError.

    plugins: whether a kubeconfig's credential plugins are run; without, their credentials are left out.
    """
    environ = os.environ if environ is None else environ
    if options.kubeconfig:
        connection = await from_kubeconfig(
            Path(options.kubeconfig),
            options.context or None,
            environ=environ,
            timeout_s=timeout_s,
            plugins=plugins,
        )
    elif options.endpoint:
        connection = from_endpoint(options.endpoint, options.tls)
    else:
        connection = in_cluster(environ, service_account)
    if connection.proxy_url is not None:
        checked_proxy(connection.proxy_url, options.kubeconfig)
    else:
        proxy_url = proxy_from_environment(connection.host_url, environ)
        if proxy_url is not None:
            checked_proxy(proxy_url, "HTTPS_PROXY or HTTP_PROXY")
            connection = dataclasses.replace(connection, proxy_url=proxy_url)
    return connection


async def check(
    options: Any, *, environ: Mapping[str, str] | None = None, service_account: Path = SERVICE_ACCOUNT
) -> None:
    """Looks at all that a connection is made of, and connects to nothing. Raises SourceError as resolve does."""
    connection = await resolve(options, environ=environ, service_account=service_account, plugins=False)
    try:
        connection.ssl_context()
    except SourceError as e:
        raise SourceError(f"failed to create kubernetes notification controller: {e}") from e


def from_endpoint(endpoint: str, files: tuple[str, str, str] | None) -> Connection:
    """``endpoint URL`` with ``tls CERT KEY CA``, any of which may be empty."""
    cert, key, ca = files or ("", "", "")
    url = endpoint if "://" in endpoint else f"{'https' if files else 'http'}://{endpoint}"
    return Connection(
        host_url=checked_url(url, "endpoint"),
        cert_pem=read_option("client-cert", cert, "a PEM client certificate"),
        key_pem=read_option("client-key", key, "its PEM key"),
        ca_pem=read_option("certificate-authority", ca, "PEM certificates of the API server's CA"),
    )


def read_option(name: str, file: str, expected: str) -> str | None:
    """A file of the option tls. Raises SourceError with client-go's name for it."""
    try:
        return read_pem(Path(file), expected) if file else None
    except SourceError as e:
        raise SourceError(f"invalid configuration: unable to read {name} {file} due to {e}") from e


def in_cluster(environ: Mapping[str, str], service_account: Path = SERVICE_ACCOUNT) -> Connection:
    """What a pod finds: two variables, a CA and a token. Raises SourceError where one is missing."""
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    port = environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise SourceError(
            "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT "
            "must be defined; outside of a cluster set endpoint, kubeconfig or manifests"
        )
    token_file = service_account / "token"
    TokenFile(token_file).read()
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return Connection(
        host_url=checked_url(f"https://{host}:{port}", "KUBERNETES_SERVICE_HOST"),
        ca_pem=read_pem(service_account / "ca.crt", "PEM certificates of the API server's CA"),
        token_file=token_file,
    )


@dataclass(slots=True, kw_only=True)
class Credentials:
    """What fastdns.plugins.kubernetes.api.credentials prints: a connection, or an error."""

    host_url: str = ""
    ca_pem: str | None = None
    cert_pem: str | None = None
    key_pem: str | None = None
    server_name: str | None = None
    insecure: bool = False
    authorization: str | None = None
    token_file: str | None = None
    proxy_url: str | None = None
    expires_at: float | None = None
    error: str | None = None


async def from_kubeconfig(
    path: Path,
    context: str | None,
    *,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = CREDENTIALS_TIMEOUT_S,
    plugins: bool = True,
) -> Connection:
    """A context of a kubeconfig; see resolve."""
    from fastdns.plugins.kubernetes.api.kubeconfig import read_plain

    read_pem(path, "a kubeconfig")
    found = read_plain(path, context)
    if found is None:
        found = await ask_package(path, context, environ=environ, timeout_s=timeout_s, plugins=plugins)
    return Connection(
        host_url=checked_url(found.host_url, str(path)),
        ca_pem=found.ca_pem,
        cert_pem=found.cert_pem,
        key_pem=found.key_pem,
        server_name=found.server_name,
        insecure=found.insecure,
        headers=(("Authorization", found.authorization),) if found.authorization else (),
        token_file=Path(found.token_file) if found.token_file else None,
        proxy_url=found.proxy_url,
        expires_at=found.expires_at,
    )


async def ask_package(
    path: Path,
    context: str | None,
    *,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = CREDENTIALS_TIMEOUT_S,
    plugins: bool = True,
) -> Credentials:
    """What the kubernetes package makes of a kubeconfig, in a child process. Raises SourceError."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fastdns.plugins.kubernetes.api.credentials",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(os.environ if environ is None else environ),
    )
    try:
        asked = json.dumps(
            {"kubeconfig": str(path), "context": context, "plugins": plugins, "parent": os.getpid()}
        ).encode()
        async with asyncio.timeout(timeout_s):
            printed, complaint = await child.communicate(asked)
    except TimeoutError:
        raise SourceError(
            f"{path}: no credentials within {timeout_s:g} s; expected its exec plugin to answer by then"
        ) from None
    finally:
        # A plugin that hangs is in its group, too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    try:
        found = Credentials(**json.loads(printed))
    except (TypeError, ValueError):
        last = complaint.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise SourceError(
            f"{path}: reading it failed with status {child.returncode}: {''.join(last) or 'no output'}"
        ) from None
    if found.error is not None:
        raise SourceError(f"{path}: {found.error}")
    return found


def proxy_from_environment(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY ask for, as Go's net/http reads them."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    names = ("HTTPS_PROXY", "https_proxy") if parts.scheme == "https" else ("HTTP_PROXY", "http_proxy")
    proxy = next((environ[name] for name in names if environ.get(name)), None)
    if proxy is None or host == "localhost":
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is not None and address.is_loopback:
        return None
    excluded = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    for item in filter(None, (item.strip().lower() for item in excluded.split(","))):
        if item == "*" or item in (host, f"{host}:{parts.port}"):
            return None
        if address is not None:
            with contextlib.suppress(ValueError):
                if address in ipaddress.ip_network(item, strict=False):
                    return None
        elif host.endswith("." + item.lstrip(".")):
            return None
    return proxy if "://" in proxy else f"http://{proxy}"


def checked_url(url: str, where: str) -> str:
    """url without a trailing slash. Raises SourceError unless it is an http or https URL with a host."""
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        port_is_valid = False
    if not port_is_valid or parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceError(f"{where}: {url!r} is no URL of an API server; expected https://HOST[:PORT]")
    return url.rstrip("/")


def checked_proxy(url: str, where: str) -> None:
    """Raises SourceError unless url is a proxy that can be used: not SOCKS."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        # Of who uses it nothing is shown: there may be a password.
        shown = f"{url.partition('://')[0]}://{url.rpartition('@')[2]}" if "@" in url else url
        raise SourceError(f"{where}: {shown!r} is no proxy that can be used; expected http://HOST:PORT")


def read_pem(path: Path, expected: str) -> str:
    """The text of a credential file. Raises SourceError naming it."""
    try:
        if path.stat().st_size > MAX_CREDENTIAL_FILE_BYTES:
            raise SourceError(f"{path} is over {MAX_CREDENTIAL_FILE_BYTES} bytes; expected {expected}")
        text = path.read_text("utf-8")
    except (OSError, ValueError) as e:
        raise SourceError(f"open {path}: {reason(e)}; expected {expected}") from e
    if not text.strip():
        raise SourceError(f"{path} is empty; expected {expected}")
    return text


def reason(error: BaseException) -> str:
    """An error in few words: what the system says, or the class where it says nothing."""
    if isinstance(error, OSError) and error.strerror and error.__class__.__module__ == "builtins":
        return error.strerror.lower()
    return str(error) or error.__class__.__name__
