from fastdns.serve._chain import NativeStep

class WhoamiStep(NativeStep):
    def __init__(self) -> None: ...
