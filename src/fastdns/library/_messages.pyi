RecordParts = tuple[bytes, int, int, bytes]

def read_query(message: bytes) -> tuple[int, int, bytes, int, int, bool, bool, int]: ...
def read_reply(
    message: bytes,
) -> tuple[int, int, int, bytes, int, int, list[RecordParts], list[RecordParts], list[RecordParts]]: ...
def make_reply(
    query: bytes,
    rcode: int,
    answer: tuple[RecordParts, ...],
    authority: tuple[RecordParts, ...],
    additional: tuple[RecordParts, ...],
    aa: bool,
    ra: bool,
    max_bytes: int | None,
) -> bytes: ...
