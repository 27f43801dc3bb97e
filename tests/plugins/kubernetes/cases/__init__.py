"""What a cluster's names answer, in tables by theme; every row was compared with CoreDNS 1.14.7.

Those of fqdn follow its source (plugin/kubernetes/kubernetes.go, plugin/backend_lookup.go).
"""

from __future__ import annotations

from tests.plugins.kubernetes.cases import (
    apex,
    endpoints,
    external,
    fallthrough,
    fqdn,
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
        endpoints,
        external,
        fqdn,
        pods,
        reverse,
        apex,
        namespaces,
        options,
        fallthrough,
        multicluster,
        zonal,
        spelling,
    )
    for theme in module.THEMES
]
