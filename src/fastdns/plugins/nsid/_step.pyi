from fastdns.serve._zones import NativeStep

class NsidStep(NativeStep):
    def __init__(self, data: bytes) -> None: ...
