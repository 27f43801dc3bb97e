from fastdns.serve._zones import NativeStep

class ZoneTextStep(NativeStep):
    def __init__(self, source: int) -> None: ...
