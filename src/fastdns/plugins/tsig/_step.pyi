from collections.abc import Collection

from fastdns.dns._signatures import KeyRing
from fastdns.serve._zones import NativeStep

class TsigStep(NativeStep):
    def __init__(
        self,
        keys: KeyRing,
        zones: Collection[str],
        qtypes: Collection[int] | None = (),
        opcodes: Collection[int] | None = (),
    ) -> None: ...
