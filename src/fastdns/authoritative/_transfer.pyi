from fastdns.serve._transfers import NativeTransfer

class ZoneTransfer(NativeTransfer):
    """source: its number in the zone store."""

    def __init__(self, source: int) -> None: ...
