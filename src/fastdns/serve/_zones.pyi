class NativeStep: ...

class ServerTable:
    def __init__(
        self,
        zones: list[tuple[str, int, int | None]],
        blocks: list[list[NativeStep]],
        dropped_slot: int | None = None,
        any_class: bool = False,
    ) -> None: ...
