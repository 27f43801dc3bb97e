from fastdns.serve._zones import NativeStep

class ZoneStep(NativeStep):
    def __init__(
        self,
        *,
        source: int,
        zones: list[bytes],
        fall: list[bytes],
        any_zone: bool = False,
        not_loaded: int = 0,
    ) -> None: ...
