from fastdns._chain import NativeStep
from fastdns._upstream import Upstreams

class LoopStep(NativeStep):
    def __init__(self, upstreams: Upstreams) -> None: ...
