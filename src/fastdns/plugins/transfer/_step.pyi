from fastdns.serve._zones import NativeStep

class TransferStep(NativeStep):
    def __init__(self, rules: list[tuple[list[bytes], bool, list[bytes]]], sources: list[int]) -> None: ...
