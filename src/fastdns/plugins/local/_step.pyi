from fastdns.serve._zones import NativeStep

class LocalStep(NativeStep):
    def __init__(self, prefix: bool, first_counter: int) -> None: ...
