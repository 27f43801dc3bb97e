"""The options of trace: which queries are traced, and where their spans go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, at_most_one, duration, integer, one, read_options, store

ZIPKIN, DATADOG, OTLP = "zipkin", "datadog", "otlp"
# By kind: the endpoint without a word, its port, and the path where an endpoint names none.
ENDPOINTS = {
    ZIPKIN: ("localhost:9411", "/api/v2/spans"),
    DATADOG: ("localhost:8126", "/v0.4/traces"),
    OTLP: ("localhost:4318", "/v1/traces"),
}
SERVICE = "coredns"
MAX_EVERY = (1 << 64) - 1
MAX_SPANS = 100_000
# Go's strconv.ParseBool
TRUE = ("1", "t", "T", "TRUE", "true", "True")
FALSE = ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True, slots=True)
class Config:
    """kind: ZIPKIN, DATADOG or OTLP. url: where spans are posted. every: of so many queries one is traced, by
    chance; 0: none is. backlog, batch: spans. interval_s: how long spans wait at most for a batch to fill."""

    kind: str
    url: str
    every: int = 1
    service: str = SERVICE
    client_server: bool = False
    analytics_rate: float | None = None
    backlog: int = 1000
    batch: int = 100
    interval_s: float = 1.0


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError. Of several lines in a block the last one counts, option by option, as in CoreDNS."""
    fields: dict[str, Any] = {}
    kind = url = ""
    for _ in d.occurrences():
        args = d.remaining_args()
        if len(args) > 2:
            raise d.arg_error("a kind of endpoint and an endpoint at most")
        kind = args[0].lower() if len(args) == 2 else ZIPKIN
        if kind not in ENDPOINTS:
            raise d.error(f"{' or '.join(ENDPOINTS)} expected, got {args[0]!r}")
        url = _url(d, kind, args[-1] if args else "")
        read_options(d, OPTIONS, fields)
        if fields.get("analytics_rate") is not None and kind != DATADOG:
            raise d.error("datadog_analytics_rate is an option of trace datadog")
        if fields.get("client_server"):
            block.warnings.append(
                f"plugin/trace: {d.file}:{d.line} - client_server changes nothing: it is for queries that come "
                "with a trace of the client's, and none does"
            )
    return Config(kind, url, **fields)


def _url(d: Dispenser, kind: str, text: str) -> str:
    """The URL of an endpoint. As in CoreDNS, one that does not begin with http gets scheme and path."""
    default, path = ENDPOINTS[kind]
    text = text or default
    if not text.startswith(("http://", "https://")):
        text = f"http://{text}{path}"
    elif kind != ZIPKIN and not urlsplit(text).path.strip("/"):
        text = text.rstrip("/") + path
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise d.error(f"{text!r}: {error}") from None
    if not parts.hostname or port == 0:
        raise d.error(f"HOST:PORT or a URL expected, got {text!r}")
    if kind == DATADOG and port is None:
        text = text.replace(parts.netloc, f"{parts.netloc}:8126", 1)
    return text


def _client_server(d: Dispenser) -> bool:
    text = at_most_one(d) or "true"
    if text not in TRUE + FALSE:
        raise d.error(f"true or false expected, got {text!r}")
    return text in TRUE


def _rate(d: Dispenser) -> float:
    text = at_most_one(d) or "0"
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise d.error(f"a rate from 0 to 1 expected, got {text!r}")
    return rate


OPTIONS: dict[str, Option] = {
    "every": store("every", integer(0, MAX_EVERY)),
    "service": store("service", one),
    "client_server": store("client_server", _client_server),
    "datadog_analytics_rate": store("analytics_rate", _rate),
    "zipkin_max_backlog_size": store("backlog", integer(1, MAX_SPANS)),
    "zipkin_max_batch_size": store("batch", integer(1, MAX_SPANS)),
    "zipkin_max_batch_interval": store("interval_s", duration(0.001, 3600.0)),
}
