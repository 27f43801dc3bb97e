from fastdns.serve._zones import NativeStep

class TopStep(NativeStep):
    def __init__(self, slow_ns: int) -> None: ...
