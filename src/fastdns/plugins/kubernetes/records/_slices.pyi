from fastdns.plugins.kubernetes.objects import Metadata

class EncodedSlice:
    @property
    def metadata(self) -> Metadata: ...
