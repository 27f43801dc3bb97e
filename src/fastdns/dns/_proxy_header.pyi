def proxy_header(data: bytes | bytearray | memoryview) -> tuple[int, int, bytes, int]:
    """Returns (found, size, address, port). found: 0 none, 1 there is one, 2 more bytes decide, 3 malformed.

    size: the bytes of the header. address: 4 or 16 bytes of the client; empty where the header speaks of the
    connection itself.
    """
