from fastdns.serve._chain import NativeStep

class ErrorsStep(NativeStep):
    def __init__(self, block: int) -> None: ...
