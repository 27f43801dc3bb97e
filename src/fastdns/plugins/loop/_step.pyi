from fastdns._chain import NativeStep
from fastdns.plugins.forward.engine._shared import Upstreams

class LoopStep(NativeStep):
    def __init__(self, upstreams: Upstreams) -> None: ...
