from fastdns.plugins.kubernetes.answers._options import AnswerOptions
from fastdns.serve._values import NativeValue
from fastdns.serve._zones import NativeStep

VALUES: tuple[str, ...]

class KubernetesStep(NativeStep):
    def __init__(self, options: AnswerOptions) -> None: ...

class KubernetesValue(NativeValue):
    def __init__(self, options: AnswerOptions, name: str) -> None: ...
