from fastdns.serve._zones import NativeStep

class ErrorsStep(NativeStep):
    def __init__(self, block: int) -> None: ...
