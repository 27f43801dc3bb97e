from typing import Any

from fastdns.serve._zones import NativeStep

class ForwardStep(NativeStep):
    def __init__(self, stanzas: list[dict[str, Any]]) -> None: ...
