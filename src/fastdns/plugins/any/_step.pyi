from fastdns.serve._zones import NativeStep

class AnyStep(NativeStep):
    def __init__(self) -> None: ...
