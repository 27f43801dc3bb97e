from fastdns.serve._search import NativeSearch
from fastdns.serve._zones import NativeStep

class AutopathStep(NativeStep):
    def __init__(self, zones: list[bytes], search: NativeSearch | None, first_counter: int = 0) -> None: ...
