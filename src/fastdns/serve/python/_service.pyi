from fastdns.metrics._stats import Stats
from fastdns.serve._suspend import NativeService
from fastdns.serve._zones import ServerTable

# Results: see Result in _step.pxd.
ANSWERED: int
PASSED: int
SILENT: int
LATE: int
FAILED: int
UNFIT: int
TOO_MANY_TASKS: int

# Where the steps behind one go on: see SlowPath.ask.
Entry = tuple[int, int, int]
# Ticket; number of the step; message of the question; client's address bytes and port; number of the
# transport; number of the listener; entry; questions that it is inside of; where in the message the question's name
# ends, and where its OPT record stands, with its length; the address of the server that was asked; seconds that are
# left; the values of plugins that the step reads; what its native half hands along.
Taken = tuple[
    int, int, bytes, bytes, int, int, int, Entry, int, int, int, int, bytes, float, tuple[str, ...], bytes
]  # fmt: skip

class PythonService(NativeService):
    def __init__(
        self, stats: Stats, counter_slot: int, room: int, tables: list[ServerTable] | None = None
    ) -> None: ...
    @property
    def request_fd(self) -> int: ...
    @property
    def outstanding(self) -> int: ...
    @property
    def room(self) -> int: ...
    def take_requests(self, most: int) -> list[Taken]: ...
    def give(self, ticket: int, result: int, message: bytes | None = None) -> bool: ...
    def wake(self) -> None: ...
