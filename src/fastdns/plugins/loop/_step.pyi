from fastdns.plugins.forward.engine._shared import Upstreams
from fastdns.serve._zones import NativeStep

class LoopStep(NativeStep):
    def __init__(self, upstreams: Upstreams) -> None: ...
