from fastdns.serve._zones import NativeStep

class MinimalStep(NativeStep):
    def __init__(self) -> None: ...
