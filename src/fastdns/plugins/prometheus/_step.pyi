from fastdns.serve._zones import NativeStep

class PrometheusStep(NativeStep):
    def __init__(self) -> None: ...
