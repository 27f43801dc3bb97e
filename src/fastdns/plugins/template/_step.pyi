from collections.abc import Sequence

from fastdns.metrics._labelled import LabelledCounters
from fastdns.plugins.template.config import Template
from fastdns.plugins.template.expressions import Expressions
from fastdns.serve._values import BlockValue
from fastdns.serve._zones import NativeStep

class TemplateStep(NativeStep):
    def __init__(
        self,
        templates: Sequence[Template],
        metas: Sequence[Sequence[BlockValue]],
        expressions: Sequence[Expressions],
        counters: LabelledCounters | None,
        failed: int,
        unread: int,
    ) -> None: ...

def group_keys(names: Sequence[str]) -> dict[bytes, int]: ...
