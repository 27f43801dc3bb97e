"""Configurations and steps from the text of rules."""

from __future__ import annotations

from fastdns.corefile import load
from fastdns.metrics.reasons import first_reason
from fastdns.plugins.rewrite._step import RewriteStep
from fastdns.plugins.rewrite.config import Config


def config_of(rules: str) -> Config:
    """The configuration of a block with these lines."""
    config: Config = load(f". {{\n{rules}\n}}", environ={}).blocks[0].plugins["rewrite"]
    return config


def step_of(rules: str) -> RewriteStep:
    """The step of a block with these lines."""
    return RewriteStep(config_of(rules).rules, {}, first_reason("rewrite"))
