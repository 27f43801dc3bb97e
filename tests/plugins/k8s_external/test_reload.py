"""A reload that adds the plugin lists the cluster anew, with what is outside; one that removes it goes back."""

from __future__ import annotations

from pathlib import Path

from tests.support import Server, wait_until

PLAIN = """\
cluster.local:DNS_PORT example.org:DNS_PORT {
    bind 127.0.0.1
    kubernetes cluster.local {
        manifests "MANIFESTS"
    }
}
"""
EXTERNAL = PLAIN.replace("    bind", "    k8s_external example.org\n    bind")
MANIFESTS = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.20, clusterIPs: [10.96.0.20], externalIPs: [192.0.2.20], ports: [{port: 80}]}
status: {loadBalancer: {ingress: [{ip: 192.0.2.21}]}}
"""
INSIDE = "web.shop.svc.cluster.local."
OUTSIDE = "web.shop.example.org."


def test_reload(tmp_path: Path) -> None:
    with Server(tmp_path, PLAIN, manifests=MANIFESTS, workers=1) as server:
        assert (server.addresses(INSIDE), server.addresses(OUTSIDE)) == (["10.96.0.20"], [])
        server.write_corefile(EXTERNAL)
        server.reload()
        assert (server.addresses(INSIDE), server.addresses(OUTSIDE)) == (
            ["10.96.0.20"],
            ["192.0.2.20", "192.0.2.21"],
        )
        moved = MANIFESTS.replace("192.0.2.21", "192.0.2.99")
        server.manifests.with_suffix(".new").write_text(moved)
        server.manifests.with_suffix(".new").replace(server.manifests)
        wait_until(lambda: server.addresses(OUTSIDE) == ["192.0.2.20", "192.0.2.99"])
        server.write_corefile(PLAIN)
        server.reload(2)
        assert (server.addresses(INSIDE), server.addresses(OUTSIDE)) == (["10.96.0.20"], [])
