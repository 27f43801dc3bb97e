from fastdns.transports._layer import Layer

class StreamLayer(Layer):
    def data_received(self, data: bytes | bytearray | memoryview) -> None: ...
