"""sign: writes signed zone files, which other plugins serve."""

from __future__ import annotations

import os
from pathlib import Path

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.errors import FastdnsError
from fastdns.plugins.api import Check, InSupervisor, Plugin, SupervisorView
from fastdns.plugins.sign.config import Config, parse


class Sign(Plugin):
    """A task of the supervisor's; there is no step."""

    name = "sign"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        # A server looks at keys in a child, and starts whatever the zone files hold.
        if not check.mistakes.keep:
            return
        from fastdns.plugins.sign.child import check_keys
        from fastdns.zonefiles.asking import look_at
        from fastdns.zonefiles.frames import Job

        for block, config in check.config.with_plugin("sign"):
            with check.of("sign", block):
                if wrong := check_keys(config.zones):
                    raise FastdnsError(wrong)
            jobs = [Job(zone.file, zone.name) for zone in config.zones]
            for zone, read in zip(config.zones, look_at(jobs), strict=True):
                if read.error:
                    check.warnings.append(f'plugin/sign: Error signing "{zone.name}": {read.error}')
                check.warnings += [f"plugin/sign: {line}; it is left out" for line in read.said]
                if not os.access(zone.directory, os.W_OK | os.X_OK) or not Path(zone.directory).is_dir():
                    check.warnings.append(f"plugin/sign: {zone.directory} is no directory that can be written to")

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        from fastdns.plugins.sign.schedule import Signing

        return Signing(supervisor)


plugin = Sign()
