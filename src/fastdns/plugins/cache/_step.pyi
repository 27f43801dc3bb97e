from fastdns.plugins.cache._cache import Cache
from fastdns.plugins.cache.config import Config
from fastdns.serve._zones import NativeStep

class CacheStep(NativeStep):
    def __init__(
        self, cache: Cache, config: Config, passing: tuple[str, ...] = (), first_counter: int = 0
    ) -> None: ...
    @property
    def cache(self) -> Cache: ...
