from fastdns.plugins.kubernetes.answers._options import AnswerOptions
from fastdns.serve._zones import NativeStep

class ExternalStep(NativeStep):
    def __init__(
        self,
        cluster: AnswerOptions,
        *,
        zones: list[bytes],
        primary: bytes,
        apex: bytes,
        ttl_s: int,
        headless: bool,
        fall: list[bytes],
    ) -> None: ...
