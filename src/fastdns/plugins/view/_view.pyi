from collections.abc import Sequence

from fastdns.expr import Program
from fastdns.serve._values import NativeValue
from fastdns.serve._zones import NativeFilter

class ViewFilter(NativeFilter):
    def __init__(self, programs: Sequence[Program]) -> None: ...

class ViewName(NativeValue):
    def __init__(self, name: bytes) -> None: ...
