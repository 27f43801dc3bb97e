from fastdns.plugins.rewrite.config import Rule
from fastdns.serve._values import BlockValue
from fastdns.serve._zones import NativeStep

class RewriteStep(NativeStep):
    def __init__(self, rules: tuple[Rule, ...], values: dict[str, BlockValue], first_reason: int = 0) -> None: ...
