class NativeStep: ...
class NativeFilter: ...

class ServerTable:
    def __init__(
        self,
        zones: list[tuple[str, int, int | None]],
        blocks: list[list[NativeStep]],
        dropped_slot: int | None = None,
        any_class: bool = False,
        filters: dict[int, NativeFilter] | None = None,
        address: bytes = b"",
        port: int = 0,
    ) -> None: ...
