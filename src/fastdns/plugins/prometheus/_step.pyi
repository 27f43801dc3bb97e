from fastdns.serve._chain import NativeStep

class PrometheusStep(NativeStep):
    def __init__(self) -> None: ...
