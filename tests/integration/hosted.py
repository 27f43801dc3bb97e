"""The providers of a Corefile's hosted zones, played: each zone has its apex."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastdns.corefile import ServerConfig
from tests.hostedzones.providers import Answer, Asked, Provider
from tests.plugins.azure import api as azure
from tests.plugins.clouddns import api as clouddns
from tests.plugins.route53 import api as route53

# What has to be installed for a plugin's listing.
LIBRARIES = {"azure": "azure.identity", "clouddns": "google.auth", "route53": "botocore"}


def provider_of(config: ServerConfig, folder: Path) -> tuple[Provider, dict[str, str]]:
    """A provider, and the environment of a server that asks it. Skips a test whose library is not installed."""
    for plugin, library in LIBRARIES.items():
        if config.with_plugin(plugin):
            pytest.importorskip(library, reason=f"pip install 'fastdns[{plugin}]'")
    zones = {
        plugin: [
            (hosted, listing.access)
            for _, options in config.with_plugin(plugin)
            for listing in options.listings
            for hosted in listing.zones
        ]
        for plugin in LIBRARIES
    }
    aws = route53.Api({hosted.id: route53.apex(hosted.zone) for hosted, _ in zones["route53"]})

    microsoft = azure.Api(
        {
            (hosted.id, kind, hosted.zone.removesuffix(".")): made
            for hosted, access in zones["azure"]
            for kind, made in (
                ("private", azure.private(azure.apex(hosted.zone)))
                if access.private
                else ("public", azure.apex(hosted.zone)),
            )
        },
        secret="",
    )
    google = clouddns.Api({hosted.id: clouddns.apex(hosted.zone) for hosted, _ in zones["clouddns"]})

    def answer(asked: Asked) -> Answer:
        if asked.host in azure.HOSTS:
            return microsoft.answer(asked)
        return (google if asked.host in clouddns.HOSTS else aws).answer(asked)

    provider = Provider(answer)
    shared = folder / "credentials"
    shared.write_text("[dns]\naws_access_key_id = A\naws_secret_access_key = S\n")
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": str(shared),
        "GOOGLE_APPLICATION_CREDENTIALS": str(clouddns.write_credentials(folder / "key.json")),
    }
    environ = provider.proxy_environ(folder, route53.HOST, *azure.HOSTS, *clouddns.HOSTS)
    return provider, {**environ, **route53.ENVIRON, **files}
