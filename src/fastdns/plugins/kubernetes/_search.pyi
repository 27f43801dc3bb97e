from fastdns.plugins.kubernetes.answers._options import AnswerOptions
from fastdns.serve._search import NativeSearch

class PodSearch(NativeSearch):
    def __init__(self, options: AnswerOptions, host: tuple[bytes, ...]) -> None: ...
