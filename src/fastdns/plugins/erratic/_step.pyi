from fastdns.serve._zones import NativeStep

class ErraticStep(NativeStep):
    def __init__(
        self, counter: object, drop: int, truncate: int, delay: int, delay_ns: int, large: bool
    ) -> None: ...
