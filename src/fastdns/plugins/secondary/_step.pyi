from fastdns.authoritative._step import ZoneStep

class SecondaryStep(ZoneStep):
    def __init__(self, primaries: list[bytes], descriptor: int, address: bytes, **options: object) -> None: ...
