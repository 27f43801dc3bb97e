from fastdns.plugins.forward.engine._shared import Upstreams
from fastdns.serve._chain import NativeStep

class LoopStep(NativeStep):
    def __init__(self, upstreams: Upstreams) -> None: ...
