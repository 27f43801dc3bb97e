from typing import Any

from fastdns.serve._chain import NativeStep

class ForwardStep(NativeStep):
    def __init__(self, stanzas: list[dict[str, Any]]) -> None: ...
