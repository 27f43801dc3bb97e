"""The proxy for the API server, read from the environment as Go's net/http does."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from fastdns.errors import SourceError


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


def checked_proxy(url: str, where: str) -> None:
    """Raise SourceError unless url is a usable proxy (HTTP or HTTPS, not SOCKS)."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        # The user part is not shown, because it may contain a password.
        shown = f"{url.partition('://')[0]}://{url.rpartition('@')[2]}" if "@" in url else url
        raise SourceError(f"{where}: {shown!r} is no proxy that can be used; expected http://HOST:PORT")
