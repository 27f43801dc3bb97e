from fastdns.serve._chain import NativeStep

class AnyStep(NativeStep):
    def __init__(self) -> None: ...
