class AnswerOptions:
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
