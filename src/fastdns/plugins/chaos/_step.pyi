from collections.abc import Mapping, Sequence

from fastdns.serve._zones import NativeStep

class ChaosStep(NativeStep):
    def __init__(self, answers: Mapping[str, Sequence[str]]) -> None: ...
