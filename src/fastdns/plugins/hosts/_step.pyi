from fastdns.serve._zones import NativeStep

class HostsStep(NativeStep):
    def __init__(
        self,
        source: int,
        zones: list[bytes],
        fall: list[bytes],
        *,
        ttl_s: int,
        reverse: bool,
        fall_unsupported: bool,
    ) -> None: ...
