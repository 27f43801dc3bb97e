"""Which cluster has which number in the zone store. A block whose options stay keeps its number across reloads."""

from __future__ import annotations

from typing import Any

from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError

# A cluster takes a pair: multicluster objects count their serial on the second.
NUMBERS = range(0, 64, 2)


class SourceTable:
    """Numbers by the options that shape what is stored. Two blocks with equal options share one cluster."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}
        self.known: dict[int, Any] = {}
        self.active: list[int] = []
        # Numbers whose records in the store, if any, are of an earlier holder.
        self.fresh: set[int] = set()

    @staticmethod
    def identity(options: Any) -> Any:
        """What must be equal for two blocks to share a source: all that is not about answering."""
        return (
            options.endpoint, options.tls, options.kubeconfig, options.context, options.manifests,
            options.qps, options.burst, options.max_inflight, options.namespace_labels, options.labels,
            options.pods == "verified", options.endpoint_pod_names, options.noendpoints,
            bool(options.multicluster), options.zonal, options.snapshot, options.snapshot_max_age_s,
            options.guard_percent, options.guard_grace_s,
        )  # fmt: skip

    def assign(self, config: ServerConfig) -> list[int]:
        """The numbers of a configuration's clusters, new ones where they are not known yet. Raises FastdnsError."""
        assigned = []
        for _, options in config.with_plugin("kubernetes"):
            identity = self.identity(options)
            if identity not in self.numbers:
                free = [number for number in NUMBERS if number not in self.numbers.values()]
                if not free:
                    raise FastdnsError(f"more than {len(NUMBERS)} clusters at a time")
                self.numbers[identity] = free[0]
                self.fresh.add(free[0])
            self.known[self.numbers[identity]] = options
            if self.numbers[identity] not in assigned:
                assigned.append(self.numbers[identity])
        return assigned

    def activate(self, numbers: list[int]) -> None:
        """These are what the watcher follows from now on."""
        self.active = list(numbers)

    def begun(self) -> None:
        """The watcher follows what is active, and has dropped what was not theirs."""
        self.fresh.difference_update(self.active)

    def options(self) -> dict[int, Any]:
        """The options of each source that the watcher follows."""
        return {number: self.known[number] for number in self.active}

    def by_block(self, config: ServerConfig) -> dict[int, int]:
        """Block index to source number."""
        return {
            block.index: self.numbers[self.identity(options)]
            for block, options in config.with_plugin("kubernetes")
        }

    def forget_inactive(self) -> bool:
        """Forget the numbers that nothing follows. Returns whether there were any.

        The next watcher drops their records, if the one that runs is not told to.
        """
        gone = [identity for identity, number in self.numbers.items() if number not in self.active]
        for identity in gone:
            number = self.numbers.pop(identity)
            self.known.pop(number, None)
            self.fresh.add(number)
        return bool(gone)
