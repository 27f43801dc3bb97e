from fastdns.bench._questions import Questions
from fastdns.bench.transport import HttpOptions

class DohClient:
    def __init__(self, options: HttpOptions, questions: Questions) -> None: ...
