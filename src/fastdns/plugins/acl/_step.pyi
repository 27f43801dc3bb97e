from collections.abc import Sequence

from fastdns.plugins.acl._counters import Counters
from fastdns.plugins.acl.config import Rule
from fastdns.plugins.acl.places import Listening
from fastdns.serve._zones import NativeStep

class AclStep(NativeStep):
    def __init__(
        self, rules: Sequence[Rule], counters: Counters | None = None, listening: Sequence[Listening] = ()
    ) -> None: ...
    def action(self, rule: int, address: bytes, qtype: int) -> int: ...
