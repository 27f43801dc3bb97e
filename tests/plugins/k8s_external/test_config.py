"""The options of k8s_external, and what it needs of its block."""

from __future__ import annotations

import pytest

from fastdns.corefile import load
from fastdns.corefile.mistakes import Mistakes
from fastdns.errors import CorefileError, FastdnsError
from fastdns.plugins.api import Check
from fastdns.plugins.k8s_external.config import Config
from fastdns.plugins.k8s_external.plugin import plugin
from fastdns.plugins.kubernetes.numbers import identity
from fastdns.skipped import SkippedLines


def config_of(text: str, keys: str = "example.org") -> Config:
    config = load(f"{keys} {{\nkubernetes cluster.local\n{text}\n}}", environ={})
    return config.blocks[0].plugins["k8s_external"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k8s_external", Config(("example.org.",), "example.org.")),
        ("k8s_external a.test B.test", Config(("a.test.", "b.test."), "a.test.")),
        ("k8s_external 10.0.0.0/8 a.test", Config(("10.in-addr.arpa.", "a.test."), "a.test.")),
        ("k8s_external 10.0.0.0/8", Config(("10.in-addr.arpa.",), "10.in-addr.arpa.")),
        ("k8s_external a.test {\napex NIC\nttl 0\nheadless\nfallthrough\n}",
         Config(("a.test.",), "a.test.", "nic", 0, True, (".",))),
        ("k8s_external a.test {\nttl 3600\nfallthrough b.test\n}",
         Config(("a.test.",), "a.test.", "dns", 3600, False, ("b.test.",))),
        ("k8s_external a.test {\nheadless\n}\nk8s_external b.test", Config(("b.test.",), "b.test.", headless=True)),
    ],
)  # fmt: skip
def test_options(text: str, expected: Config) -> None:
    assert config_of(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k8s_external a..b", r"'a..b' is not a valid domain name"),
        ("k8s_external {\nttl\n}", r"Corefile:4 - .* after .ttl., expected one argument"),
        ("k8s_external {\nttl 3601\n}", r"3601"),
        ("k8s_external {\nttl -1\n}", r"-1"),
        ("k8s_external {\nttl 1m\n}", r"1m"),
        ("k8s_external {\napex\n}", r"apex"),
        ("k8s_external {\napex a.b\n}", r"the apex 'a.b' is no DNS label"),
        ("k8s_external {\napex .\n}", r"no DNS label"),
        ("k8s_external {\nheadless yes\n}", r"'yes', expected no argument"),
        ("k8s_external {\nexternal\n}", r"unknown option 'external'"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        config_of(text)


def test_it_needs_a_cluster_in_its_block() -> None:
    """CoreDNS: "kubernetes plugin not loaded"."""
    config = load("a.test {\nwhoami\n}\nb.test {\nk8s_external\nwhoami\n}", environ={})
    with pytest.raises(FastdnsError, match=r"k8s_external: Corefile:5 - .*it needs the plugin kubernetes in"):
        plugin.check(Check(config, SkippedLines(), Mistakes()))


def test_only_its_cluster_keeps_what_is_outside() -> None:
    text = "a.test {\nkubernetes cluster.local\nk8s_external\n}\nb.test {\nkubernetes cluster.local\n}"
    first, second = (block.plugins["kubernetes"] for block in load(text, environ={}).blocks)
    assert (first.exposed, second.exposed) == (True, False)
    assert identity(first) != identity(second)
