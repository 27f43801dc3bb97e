"""template: answers made of the question, by templates of records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.metrics.reasons import OTHER_ERROR, Reason, first_reason
from fastdns.plugins.api import Check, InSupervisor, InWorker, Plugin, Runtime, SupervisorView, WorkerView
from fastdns.plugins.template.config import Config, parse
from fastdns.plugins.template.expressions import Expressions
from fastdns.plugins.values import value_of

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.metrics._labelled import LabelledCounters
    from fastdns.plugins.python import PythonStep
    from fastdns.serve._zones import NativeStep

TEMPLATE_FAILED = "plugin/template: a template failed"
NO_RECORD = "plugin/template: a template made no resource record"


class Counting(InSupervisor):
    """What all workers of all configurations count."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor
        self.counters: LabelledCounters | None = None

    async def prepare(self, config: ServerConfig) -> LabelledCounters:
        from fastdns.metrics._labelled import LabelledCounters
        from fastdns.plugins.template.counters import register

        if self.counters is None:
            self.counters = LabelledCounters()
        register(self.counters, config)
        return self.counters

    def families(self) -> Iterator[Metric]:
        from fastdns.plugins.template.metrics import families

        if self.counters is not None:
            yield from families(self.counters, self.supervisor.zone_slots)


class Explaining(InWorker):
    """Says which template failed."""

    def __init__(self, counters: LabelledCounters | None) -> None:
        self.counters = counters

    def explain(self, text: str, slot: int) -> str | None:
        if text not in (TEMPLATE_FAILED, NO_RECORD) or self.counters is None:
            return None
        _, section, template = (*self.counters.labels(slot), "", "", "")[:3]
        return f"{text}: {section} {template}" if template else text


class TemplatePlugin(Plugin):
    """A native step; or one in Python, where a template of the block has no native program."""

    name = "template"
    worker_modules = ("_step", "python_step")
    reasons = (
        Reason("template", "SERVFAIL", TEMPLATE_FAILED, OTHER_ERROR),
        Reason("template_rr", "SERVFAIL", NO_RECORD, OTHER_ERROR),
    )

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        for _, config in check.config.with_plugin("template"):
            for record in config.python:
                check.warnings.append(
                    f"plugin/template: {record.file}:{record.line} - runs in Python, slower, with all templates of "
                    f"its block: there is no native code for {record.why}"
                )

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Counting(supervisor)

    def in_worker(self, worker: WorkerView) -> InWorker:
        return Explaining(worker.runtime.prepared.get("template"))

    def is_in_python(self, config: Config) -> bool:
        return bool(config.python)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.template._step import TemplateStep

        metas = [[value_of(name, block, runtime) for name in one.names.metas] for one in config.templates]
        expressions = [Expressions(one.expressions) for one in config.templates]
        for program in (program for one in expressions for program in one.programs):
            program.bind(value_of(name, block, runtime) for name in program.values)
        first = first_reason(self.name)
        counters = runtime.prepared.get(self.name)
        return TemplateStep(config.templates, metas, expressions, counters, first, first + 1)

    def python_step(self, config: Config, block: ServerBlock, runtime: Runtime) -> PythonStep:
        from fastdns.plugins.template.python_step import TemplatesInPython

        return TemplatesInPython(config, runtime.prepared.get(self.name))


plugin = TemplatePlugin()
