PREFACE: bytes

class Http2:
    session_bytes: int
    request_bytes: int
    unsent_bytes: int
    def __init__(self, max_streams: int) -> None: ...
