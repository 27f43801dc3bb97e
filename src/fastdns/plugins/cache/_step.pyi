from fastdns._cache import Cache
from fastdns._chain import NativeStep
from fastdns.plugins.cache.config import Config

class CacheStep(NativeStep):
    def __init__(self, cache: Cache, config: Config, passing: tuple[str, ...] = ()) -> None: ...
    @property
    def cache(self) -> Cache: ...
