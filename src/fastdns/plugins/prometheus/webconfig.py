"""TLS for /metrics, from a web configuration file of Prometheus's exporter toolkit.

Only tls_server_config is served, and not all of it. Every other key is an error: a file that asks for passwords
must not end in an endpoint without.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fastdns.errors import FastdnsError
from fastdns.tls import server_context

log = logging.getLogger("plugin/prometheus")

SERVED = {
    "tls_server_config": (
        "cert_file", "key_file", "client_auth_type", "client_ca_file", "min_version", "max_version",
    ),
    "http_server_config": ("http2",),
}  # fmt: skip
# What to do in place of a key that is not served, where there is something.
INSTEAD = {
    "basic_auth_users": "let clients in by certificate (client_auth_type RequireAndVerifyClientCert)",
    "tls_server_config.cert": "use cert_file",
    "tls_server_config.key": "use key_file",
    "tls_server_config.client_ca": "use client_ca_file",
    "tls_server_config.client_allowed_sans": "use a client_ca_file that signs only who is allowed",
    "tls_server_config.cipher_suites": "use min_version TLS13",
}
CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# Python's ssl verifies every certificate that it asks for, so a server of it cannot take any certificate.
CLIENT_AUTH_INSTEAD = {
    "RequestClientCert": "use NoClientCert, which lets in the same clients",
    "RequireAnyClientCert": "use RequireAndVerifyClientCert with client_ca_file",
    "RequireClientCert": "use RequireAndVerifyClientCert with client_ca_file",
}
VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


class TlsFromFile(ssl.SSLContext):
    """Gives each connection a context of what the files hold when it begins, so a renewed certificate and a changed
    option need no reload. Where they cannot be used, the last good ones serve on, and the log says so once.

    Raises FastdnsError where they cannot be used at first.
    """

    def __new__(cls, path: str) -> TlsFromFile:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, path: str) -> None:
        self.path = path
        self.current, self.read_at = load_tls(path)
        self.said = ""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """What asyncio calls for each connection."""
        self.renew()
        return self.current.wrap_bio(*args, **kwargs)

    def renew(self) -> None:
        """Read the files again if any has changed. A certificate and a key being replaced may not fit at first."""
        said = ""
        try:
            if any(file.stat().st_mtime_ns != seen for file, seen in self.read_at.items()):
                self.current, self.read_at = load_tls(self.path)
        except (OSError, FastdnsError) as error:
            said = str(error)
            if said != self.said:
                log.error("%s; the previous TLS configuration stays in use", said)
        self.said = said


def load_tls(path: str) -> tuple[ssl.SSLContext, dict[Path, int]]:
    """The context of a web configuration file, and the modification times of the files that it is made of.

    Raises FastdnsError naming the file, the key and what was expected.
    """
    options = TlsOptions(path)
    certificate, key, authority = map(options.file, ("cert_file", "key_file", "client_ca_file"))
    context = server_context()
    context.minimum_version = options.version("min_version", "TLS12")
    context.maximum_version = options.version("max_version", "TLS13")
    if context.minimum_version > context.maximum_version:
        raise options.error("min_version", "max_version is below it")
    context.verify_mode = options.client_auth()
    if certificate is None or key is None:
        raise options.error("key_file" if certificate else "cert_file", "the path of a PEM file expected")
    if (authority is None) != (context.verify_mode == ssl.CERT_NONE):
        raise options.error(
            "client_ca_file", "goes with client_auth_type VerifyClientCertIfGiven or RequireAndVerifyClientCert"
        )
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise options.error("cert_file", f"cannot be used with key_file: {error}") from None
    if authority is not None:
        try:
            context.load_verify_locations(authority)
        except OSError as error:
            raise options.error("client_ca_file", f"cannot be used: {error}") from None
    return context, options.read_at


class TlsOptions:
    """tls_server_config of one web configuration file. Raises FastdnsError for a file that asks for anything else.

    read_at: the modification time, in ns, of every file that has been looked at.
    """

    def __init__(self, path: str) -> None:
        # Only here: every process would keep it in memory.
        import yaml

        self.path = Path(path)
        self.read_at: dict[Path, int] = {}
        try:
            self.look_at(self.path)
            content = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise FastdnsError(f"{path}: a file of YAML expected: {type(error).__name__}: {error}") from None
        self.options = self.check(content)

    def error(self, key: str, why: str) -> FastdnsError:
        """What is wrong with one key."""
        return FastdnsError(f"{self.path}: tls_server_config.{key}: {why}")

    def look_at(self, file: Path) -> None:
        """Remember when a file was changed last. Raises OSError."""
        self.read_at[file] = file.stat().st_mtime_ns

    def check(self, content: Any) -> Mapping[Any, Any]:
        """The section with the options, where the file has no key that is not served."""
        if not isinstance(content, Mapping) or not isinstance(content.get("tls_server_config"), Mapping):
            raise FastdnsError(f"{self.path}: tls_server_config with cert_file and key_file expected")
        for section, options in content.items():
            known = SERVED.get(section)
            if known is None:
                raise self.not_served(section, SERVED)
            if options is not None and not isinstance(options, Mapping):
                raise FastdnsError(f"{self.path}: {section}: keys and values expected")
            for key in options or ():
                if key not in known:
                    raise self.not_served(f"{section}.{key}", known)
        if (content.get("http_server_config") or {}).get("http2", False) is not False:
            raise FastdnsError(f"{self.path}: http_server_config.http2: only false is served, HTTP/1.1")
        tls: Mapping[Any, Any] = content["tls_server_config"]
        return tls

    def not_served(self, name: str, known: Iterable[str]) -> FastdnsError:
        """A key that would be ignored."""
        return FastdnsError(f"{self.path}: {name} is not served: {INSTEAD.get(name) or 'only ' + ', '.join(known)}")

    def file(self, name: str) -> Path | None:
        """The file that a key names, relative to this one's folder. None where the key is missing or empty."""
        value = self.options.get(name) or None
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.error(name, f"the path of a PEM file expected, got {value!r}")
        file = self.path.parent / value
        try:
            self.look_at(file)
        except (OSError, ValueError) as error:
            raise self.error(name, f"{type(error).__name__}: {error}") from None
        return file

    def version(self, name: str, default: str) -> ssl.TLSVersion:
        """A version of TLS. Older ones than 1.2 are not served, RFC 8996."""
        value = self.options.get(name) or default
        if not isinstance(value, str) or value not in VERSIONS:
            raise self.error(name, f"{' or '.join(VERSIONS)} expected, got {value!r}")
        return VERSIONS[value]

    def client_auth(self) -> ssl.VerifyMode:
        """What client_auth_type asks of clients."""
        value = self.options.get("client_auth_type") or "NoClientCert"
        if isinstance(value, str) and value in CLIENT_AUTH_INSTEAD:
            raise self.error("client_auth_type", f"{value} is not served: {CLIENT_AUTH_INSTEAD[value]}")
        if not isinstance(value, str) or value not in CLIENT_AUTH:
            raise self.error("client_auth_type", f"{', '.join(CLIENT_AUTH)} expected, got {value!r}")
        return CLIENT_AUTH[value]
