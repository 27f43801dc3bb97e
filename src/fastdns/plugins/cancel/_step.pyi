from fastdns.serve._zones import NativeStep

class CancelStep(NativeStep):
    def __init__(self, timeout_ns: int) -> None: ...
