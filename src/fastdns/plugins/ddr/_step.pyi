from fastdns.serve._zones import NativeStep

class DdrStep(NativeStep):
    def __init__(self, name: str, records: list[bytes], ttl_s: int) -> None: ...
