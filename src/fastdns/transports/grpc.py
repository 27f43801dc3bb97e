"""DNS over gRPC, as CoreDNS has it: calls of coredns.dns.DnsService/Query on connections of HTTP/2.

What is on the connection is _grpc2's; the rest is as for DNS over HTTPS. Without TLS it is spoken in plain text.
"""

from __future__ import annotations

from fastdns.transports._grpc2 import GrpcHttp2
from fastdns.transports.https import HttpsConnection

# As many as HTTP/2 can say.
UNLIMITED_STREAMS = (1 << 31) - 1


class GrpcConnection(HttpsConnection):
    """A call is a stream."""

    def version(self, beginning: bytes) -> GrpcHttp2:
        # Whatever it begins with: other than HTTP/2 there is nothing.
        return GrpcHttp2(self.max_streams or UNLIMITED_STREAMS)
