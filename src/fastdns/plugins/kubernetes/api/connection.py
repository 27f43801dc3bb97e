"""The address of the API server and its credentials, from options, a kubeconfig or the pod's service account.

Rules:
- A kubeconfig takes precedence over an endpoint, an endpoint over the pod's service account, as in CoreDNS.
- Certificates and keys are read when the connection is resolved, and kept as PEM. Resolving again reads new ones.
- The service account's token stays a file: it is read again when the file changes, at least every 60 s, and
  when the server refuses it.
- A kubeconfig of plain data is read in this process (kubeconfig.py). Any other one is read by the ``kubernetes``
  package in a child process (package.py), which is an extra. Without it, such a file is an error.
- A missing or invalid file ends the start (``check``), as in CoreDNS. If the server is unreachable, or a credential
  plugin fails, the source tries again.
- Every error is a SourceError that names the file or option and what was expected there. If CoreDNS has the same
  error, it contains CoreDNS's words.
"""

from __future__ import annotations

import dataclasses
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastdns import tls
from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.api.files import TokenFile, read_pem
from fastdns.plugins.kubernetes.api.kubeconfig import NotPlain, read_plain
from fastdns.plugins.kubernetes.api.package import CREDENTIALS_TIMEOUT_S, ask_package, is_installed
from fastdns.plugins.kubernetes.api.proxies import checked_proxy, proxy_from_environment

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# The fields of a Connection that a session depends on. The other fields are used for each request.
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
        """host:port, the label in metrics."""
        return urlsplit(self.host_url).netloc.rpartition("@")[2]

    def same_server(self, other: Connection) -> bool:
        """Whether open sessions of other may continue with the credentials of self: the server is the same."""
        return all(getattr(self, name) == getattr(other, name) for name in WAY)

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context; None for plain HTTP. Raises SourceError if certificate, key or CA cannot be used."""
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
            # The ssl module reads certificates only from files. This file is in memory, as there may be no writable
            # directory.
            with os.fdopen(os.memfd_create("client certificate"), "w") as pem:
                pem.write(f"{self.cert_pem}\n{self.key_pem or ''}\n")
                pem.flush()
                try:
                    # For an encrypted key, OpenSSL would ask for the passphrase on the terminal.
                    context.load_cert_chain(f"/proc/self/fd/{pem.fileno()}", password="")
                except (ssl.SSLError, ValueError) as e:
                    raise SourceError(
                        f"the client certificate and key for {self.host_url} are not usable: {e}; "
                        "expected a PEM certificate and its unencrypted PEM key"
                    ) from e
        return context


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
    """Check the files and options of a connection, without connecting. Raises SourceError as resolve does."""
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
    """The connection of a pod: two variables, a CA and a token. Raises SourceError if one is missing."""
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


async def from_kubeconfig(
    path: Path,
    context: str | None,
    *,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = CREDENTIALS_TIMEOUT_S,
    plugins: bool = True,
) -> Connection:
    """A context of a kubeconfig; see resolve."""
    read_pem(path, "a kubeconfig")
    try:
        found = read_plain(path, context)
    except NotPlain as why:
        if not is_installed():
            raise SourceError(
                f"{path}: {why}; without the Python package kubernetes, a kubeconfig may have certificates, keys "
                "and tokens only: pip install 'fastdns[kubernetes]' (the image X.Y.Z-all has it)"
            ) from None
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


def checked_url(url: str, where: str) -> str:
    """url without a trailing slash. Raises SourceError unless it is an http or https URL with a host."""
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        port_is_valid = False
    if not port_is_valid or parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceError(f"{where}: {url!r} is not the URL of an API server; expected https://HOST[:PORT]")
    return url.rstrip("/")
