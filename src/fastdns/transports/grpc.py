"""DNS over gRPC, as CoreDNS has it: calls of coredns.dns.DnsService/Query on connections of HTTP/2.

What is on the connection is _grpc2's; the rest is as for DNS over HTTPS. Without TLS it is spoken in plain text.
"""

from __future__ import annotations

from typing import Any

from fastdns.transports._grpc2 import GrpcHttp2
from fastdns.transports.https import Http, HttpsConnection

# Of CoreDNS's plugin grpc_server; of streams, 0 is as many as HTTP/2 can say.
MAX_STREAMS = 256
MAX_CONNECTIONS = 200
UNLIMITED_STREAMS = (1 << 31) - 1


class GrpcConnection(HttpsConnection):
    """max_streams: calls of the connection at a time."""

    def __init__(self, *args: Any, max_streams: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self.max_streams = max_streams or UNLIMITED_STREAMS

    def version(self, beginning: bytes) -> Http:
        # Whatever it begins with: other than HTTP/2 there is nothing.
        return GrpcHttp2(self.max_streams)
