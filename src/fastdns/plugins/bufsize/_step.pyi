from fastdns.serve._zones import NativeStep

class BufsizeStep(NativeStep):
    def __init__(self, max_udp_bytes: int) -> None: ...
