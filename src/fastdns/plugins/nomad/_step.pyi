from fastdns.plugins.nomad._namespaces import Namespaces
from fastdns.serve._zones import NativeStep

class NomadStep(NativeStep):
    def __init__(
        self,
        *,
        source: int,
        zone: bytes,
        ttl_s: int,
        unread: int,
        first_counter: int,
        namespaces: Namespaces,
    ) -> None: ...
