import ssl
from collections.abc import Callable
from typing import Any

from fastdns.transports import Peer
from fastdns.transports._layer import Layer
from fastdns.transports._sockets import SocketStream
from fastdns.transports.tls import Handshakes

SESSION_BYTES: int

class TlsLayer(Layer):
    inner: Any
    def __init__(
        self,
        connect: Callable[..., Any],
        context: Callable[[], ssl.SSLContext],
        handshakes: Handshakes,
        peer: Peer | None = None,
    ) -> None: ...
    def connection_made(self, transport: SocketStream) -> None: ...
    def shake(self) -> None: ...
