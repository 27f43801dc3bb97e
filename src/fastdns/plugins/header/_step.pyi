from fastdns.serve._zones import NativeStep

class HeaderStep(NativeStep):
    def __init__(self, query_set: int, query_cleared: int, response_set: int, response_cleared: int) -> None: ...
