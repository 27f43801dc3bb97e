from collections.abc import Sequence

from fastdns.serve._exchanges import NativeObserver
from fastdns.serve._values import BlockValue
from fastdns.serve._zones import NativeStep

Tap = tuple[int, bool, bytes, bytes, Sequence[bytes | str | BlockValue]]

class TapStep(NativeStep):
    def __init__(self, taps: list[Tap]) -> None: ...

class TapObserver(NativeObserver):
    def __init__(self, step: TapStep) -> None: ...
