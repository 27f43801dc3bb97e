"""What a server tells over HTTP: /metrics, and /top where its Corefile has that."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fastdns.errors import FastdnsError

# Of top and of prometheus in a Corefile.
DEFAULT_URLS = ("http://localhost:6054", "http://localhost:9153")
TIMEOUT_S = 5.0
# More than a server of 16,384 zones tells.
MAX_BODY_BYTES = 64 << 20

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server told at one moment (seconds of a steady clock). samples: of its metrics, by name. tables: of
    /top, as JSON has them; None: it has no such page."""

    at_s: float
    samples: Mapping[str, list[tuple[Labels, float]]] = field(default_factory=dict)
    tables: Mapping[str, Any] | None = None

    def of(self, name: str) -> Iterator[tuple[Labels, float]]:
        """The samples of a metric."""
        return iter(self.samples.get(name, ()))


def base_url(text: str) -> str:
    """The address of an admin listener, without a path. Raises FastdnsError where text is none."""
    url = urlsplit(text if "://" in text else f"http://{text}")
    try:
        right = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        right = False
    if not right:
        raise FastdnsError(f"{text!r} is no address; one looks like {DEFAULT_URLS[0]}")
    return f"{url.scheme}://{url.netloc}"


def default_url() -> str:
    """The first of the usual addresses where something listens. Raises FastdnsError."""
    for url in DEFAULT_URLS:
        where = urlsplit(url)
        with contextlib.suppress(OSError):
            socket.create_connection((where.hostname or "", where.port or 0), TIMEOUT_S).close()
            return url
    raise FastdnsError(f"no server listens at {' or '.join(DEFAULT_URLS)}; name its address with --url")


def get(url: str) -> bytes | None:
    """The body of a page; None: there is no such page. Raises FastdnsError."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            body: bytes = answer.read(MAX_BODY_BYTES + 1)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise FastdnsError(f"{url}: {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise FastdnsError(f"{url}: {reason_of(error.reason)}") from None
    except (OSError, http.client.HTTPException) as error:
        raise FastdnsError(f"{url}: {reason_of(error)}") from None
    if len(body) > MAX_BODY_BYTES:
        raise FastdnsError(f"{url}: more than {MAX_BODY_BYTES >> 20} MiB")
    return body


def reason_of(error: object) -> str:
    """Why there is no answer, in words."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: no server listens there; name its address with --url"
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    return str(error) or type(error).__name__


def samples_of(text: str) -> dict[str, list[tuple[Labels, float]]]:
    """The samples of a page of metrics. Raises ValueError."""
    from prometheus_client.parser import text_string_to_metric_families

    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def read(url: str) -> Reading:
    """What the server at an address tells now. Raises FastdnsError."""
    metrics, tables = get(f"{url}/metrics"), get(f"{url}/top")
    if metrics is None and tables is None:
        raise FastdnsError(f"{url}: it serves neither /metrics nor /top; its Corefile needs prometheus or top")
    try:
        return Reading(
            time.monotonic(),
            samples_of((metrics or b"").decode()),
            None if tables is None else json.loads(tables),
        )
    except ValueError as error:
        raise FastdnsError(f"{url}: what is told there is not understood: {error}") from None
