from fastdns.serve._values import NativeValue
from fastdns.serve._zones import NativeStep

VALUES: tuple[str, ...]

class KubernetesStep(NativeStep):
    def __init__(
        self,
        *,
        source: int,
        zones: list[tuple[bytes, bool]],
        primary: bytes,
        ttl_s: int,
        pods: str,
        fall: list[bytes],
        namespaces: list[bytes],
        local: list[bytes],
        ignore_empty_service: bool,
        zonal: bool,
    ) -> None: ...

class KubernetesValue(NativeValue):
    def __init__(self, step: KubernetesStep, name: str) -> None: ...
