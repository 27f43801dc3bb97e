from fastdns.plugins.kubernetes.answers._options import AnswerOptions
from fastdns.serve._values import NativeValue

class ClientValue(NativeValue):
    def __init__(self, options: AnswerOptions, number: int | None) -> None: ...
