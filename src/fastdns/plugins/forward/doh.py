"""A query as a request of RFC 8484, and what its response must have: the same over HTTP/2 and HTTP/3."""

from __future__ import annotations

import base64

from fastdns.plugins.forward.config import DOH_PATH, HTTPS, PORTS
from fastdns.plugins.forward.upstreams import Upstream, host_port

DOH_TYPE = "application/dns-message"

Fields = list[tuple[str, str]]


def request(upstream: Upstream, method: str, message: bytes) -> tuple[Fields, bytes]:
    """The fields and the body of a request with a query: "POST" has it in the body, "GET" in the path."""
    # RFC 8484 section 4.1: ID 0, so that HTTP caches see equal requests.
    message = b"\0\0" + message[2:]
    if method == "GET":
        encoded = base64.urlsafe_b64encode(message).rstrip(b"=").decode()
        return _fields(upstream, method, f"{DOH_PATH}?dns={encoded}"), b""
    length = str(len(message))
    return [
        *_fields(upstream, method, DOH_PATH), ("content-type", DOH_TYPE), ("content-length", length),
    ], message  # fmt: skip


def _fields(upstream: Upstream, method: str, path: str) -> Fields:
    authority = host_port(upstream.verified_name, upstream.port).removesuffix(f":{PORTS[HTTPS]}")
    return [
        (":method", method), (":scheme", "https"), (":authority", authority), (":path", path), ("accept", DOH_TYPE),
    ]  # fmt: skip


def refusal(status: bytes, content_type: bytes) -> str:
    """Why a response with this status and type fails its request; "": it does not."""
    if status != b"200":
        return f"unexpected status {status.decode('ascii', 'replace')}; want 200"
    kind = content_type.partition(b";")[0].strip().lower().decode("ascii", "replace")
    return "" if kind == DOH_TYPE else f'unexpected content type "{kind}"; want "{DOH_TYPE}"'
