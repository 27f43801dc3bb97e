from fastdns.serve._zones import NativeStep

class WhoamiStep(NativeStep):
    def __init__(self) -> None: ...
