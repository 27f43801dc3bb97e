from fastdns.serve._transfers import NativeTransfer
from fastdns.serve._zones import NativeStep

MAX_AT_ONCE: int

class TransferStep(NativeStep):
    def __init__(
        self,
        rules: list[tuple[list[bytes], bool, list[bytes]]],
        transfers: list[NativeTransfer],
        first_counter: int = 0,
    ) -> None: ...
