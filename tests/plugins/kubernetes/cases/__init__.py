"""What a cluster's names answer, in tables by theme; every row was compared with CoreDNS 1.14.7."""

from __future__ import annotations

from tests.plugins.kubernetes.cases import (
    apex,
    external,
    headless,
    multicluster,
    namespaces,
    options,
    pods,
    reverse,
    services,
    spelling,
    zonal,
)
from tests.plugins.kubernetes.support import Theme

THEMES: list[Theme] = [
    theme
    for module in (
        services,
        headless,
        external,
        pods,
        reverse,
        apex,
        namespaces,
        options,
        multicluster,
        zonal,
        spelling,
    )
    for theme in module.THEMES
]
