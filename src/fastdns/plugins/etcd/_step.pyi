from fastdns.serve._zones import NativeStep

class EtcdStep(NativeStep):
    def __init__(
        self,
        *,
        source: int,
        zones: list[bytes],
        fall: list[bytes],
        min_lease_ttl_s: int,
        max_lease_ttl_s: int,
        unread: int,
    ) -> None: ...
