"""What directives become, as CoreDNS's parser has it, and what they refuse."""

from __future__ import annotations

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.trace.config import Config

HERE = "http://localhost:9411/api/v2/spans"


def config_of(text: str) -> Config:
    body = text.replace(";", "\n")
    config: Config = load(f". {{\n{body}\n}}", environ={}).blocks[0].plugins["trace"]
    return config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trace", Config("zipkin", HERE)),
        ("trace localhost:1234", Config("zipkin", "http://localhost:1234/api/v2/spans")),
        ("trace http://localhost:1234/somewhere/else", Config("zipkin", "http://localhost:1234/somewhere/else")),
        ("trace ZIPKIN localhost:1234", Config("zipkin", "http://localhost:1234/api/v2/spans")),
        ("trace datadog localhost", Config("datadog", "http://localhost:8126/v0.4/traces")),
        ("trace datadog http://localhost:8127", Config("datadog", "http://localhost:8127/v0.4/traces")),
        ("trace otlp localhost:4318", Config("otlp", "http://localhost:4318/v1/traces")),
        ("trace otlp https://[::1]:4318/", Config("otlp", "https://[::1]:4318/v1/traces")),
        ("trace otlp https://a/b?c=d", Config("otlp", "https://a/b?c=d")),
        (
            "trace datadog localhost:1 {;datadog_analytics_rate 0.1;}",
            Config("datadog", "http://localhost:1/v0.4/traces", analytics_rate=0.1),
        ),
        ("trace {;every 100;service foobar;client_server;}", Config("zipkin", HERE, 100, "foobar", True)),
        ("trace {;every 0;client_server true;}", Config("zipkin", HERE, 0, client_server=True)),
        ("trace {;client_server false;}", Config("zipkin", HERE)),
        (
            "trace {;zipkin_max_backlog_size 100;zipkin_max_batch_size 200;zipkin_max_batch_interval 10s;}",
            Config("zipkin", HERE, backlog=100, batch=200, interval_s=10.0),
        ),
        ("trace a:1 {;every 2;};trace b:2", Config("zipkin", "http://b:2/api/v2/spans", 2)),
    ],
)
def test_directives(text: str, expected: Config) -> None:
    assert config_of(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trace footype localhost:4321", "zipkin or datadog or otlp expected"),
        ("trace zipkin a b", "an endpoint at most"),
        ("trace http://", "HOST:PORT or a URL expected"),
        ("trace http://a:99999/", "ort"),
        ("trace {;every 2;client_server junk;}", "true or false expected"),
        ("trace {;every -1;}", "every"),
        ("trace {;every;}", "one argument"),
        ("trace {;service a b;}", "one argument"),
        ("trace datadog localhost {;datadog_analytics_rate 2;}", "a rate from 0 to 1"),
        ("trace datadog localhost {;datadog_analytics_rate nan;}", "a rate from 0 to 1"),
        ("trace {;datadog_analytics_rate 0.5;}", "an option of trace datadog"),
        ("trace {;zipkin_max_backlog_size wrong;}", "zipkin_max_backlog_size"),
        ("trace {;zipkin_max_batch_size;}", "one argument"),
        ("trace {;zipkin_max_batch_interval wrong;}", "wrong"),
        ("trace {;evrey 100;}", "did you mean 'every'"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        config_of(text)
    assert message in str(caught.value)


def test_client_server_is_said_to_change_nothing() -> None:
    config = load(". {\ntrace {\nclient_server\n}\n}", environ={})
    assert any("client_server changes nothing" in text for text in config.warnings)
