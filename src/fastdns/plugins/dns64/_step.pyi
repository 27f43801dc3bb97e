from fastdns.serve._zones import NativeStep

class Dns64Step(NativeStep):
    def __init__(
        self,
        prefix: bytes,
        length: int,
        *,
        translate_all: bool = False,
        allow_ipv4: bool = False,
        first_counter: int = 0,
    ) -> None: ...
