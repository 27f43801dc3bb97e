from mmap import mmap

from fastdns.bench.result import Result

COUNTS_BYTES: int

def stop(memory: mmap | bytearray | memoryview) -> None: ...
def read_result(memory: mmap | bytearray | memoryview) -> Result: ...
