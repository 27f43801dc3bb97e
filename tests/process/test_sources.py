"""A cluster keeps its number as long as its options stay, whatever becomes of the rest of the Corefile."""

from __future__ import annotations

import pytest

from fastdns.corefile import ServerConfig, load
from fastdns.errors import FastdnsError
from fastdns.process.numbers import NUMBERS
from fastdns.process.sources import SourceTable


def config(*blocks: str) -> ServerConfig:
    """A block a cluster; each is the inside of its kubernetes."""
    return load(
        "\n".join(
            f"z{index}.local:53 {{\n kubernetes z{index}.local {{\n{options}\n}}\n}}"
            for index, options in enumerate(blocks)
        )
    )


def test_a_number_for_each_cluster() -> None:
    table = SourceTable()
    served = config("manifests /a", "manifests /b")
    assert table.assign(served) == [0, 2]
    assert table.by_block(served) == {("kubernetes", 0): 0, ("kubernetes", 1): 2}
    assert table.fresh == {0, 2}


@pytest.mark.parametrize(
    "options", ["ttl 30", "pods insecure", "fallthrough", "namespaces a b", "startup_timeout 9s"]
)
def test_options_about_answers_do_not_make_another_cluster(options: str) -> None:
    table = SourceTable()
    table.assign(config("manifests /a"))
    served = config("manifests /a", f"manifests /a\n{options}")
    assert table.assign(served) == [0]
    assert table.by_block(served) == {("kubernetes", 0): 0, ("kubernetes", 1): 0}


@pytest.mark.parametrize(
    "options",
    ["labels a=b", "namespace_labels a=b", "pods verified", "endpoint_pod_names", "noendpoints", "zonal"],
)
def test_options_about_what_is_stored_do(options: str) -> None:
    table = SourceTable()
    assert table.assign(config("manifests /a", f"manifests /a\n{options}")) == [0, 2]


def test_numbers_are_kept_across_reloads_and_handed_out_again() -> None:
    table = SourceTable()
    table.activate(table.assign(config("manifests /a", "manifests /b")))
    table.begun()
    assert table.fresh == set()
    numbers = table.assign(config("manifests /b", "manifests /c"))
    assert numbers == [2, 4]
    table.activate(numbers)
    assert table.fresh == {4}
    table.begun()
    assert table.forget_inactive()
    assert not table.forget_inactive()
    assert set(table.options()) == {2, 4}
    # The number of /a has another holder now: what is stored under it is not his.
    assert table.assign(config("manifests /d")) == [0]
    assert table.fresh == {0}


def test_a_failed_reload_leaves_the_old_numbers() -> None:
    table = SourceTable()
    old = config("manifests /a")
    numbers = table.assign(old)
    table.activate(numbers)
    table.begun()
    table.activate(table.assign(config("manifests /b")))
    table.activate(numbers)
    table.begun()
    assert table.options().keys() == {0}
    assert table.by_block(old) == {("kubernetes", 0): 0}
    assert table.fresh == {2}, "nobody has followed /b to its end"
    assert table.assign(config("manifests /b")) == [2]


def test_there_are_numbers_for_more_sources_than_any_corefile_has() -> None:
    table = SourceTable()
    served = config(*(f"manifests /{n}" for n in range(100)))
    assert table.assign(served) == list(range(0, 200, 2))
    assert len(NUMBERS) == 32768 and NUMBERS[-1] + 1 == 65535


def test_the_error_for_too_many_sources_names_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastdns.process.sources.NUMBERS", range(0, 6, 2))
    table = SourceTable()
    assert table.assign(config("manifests /0", "manifests /1", "manifests /2")) == [0, 2, 4]
    with pytest.raises(FastdnsError, match=r"plugin/kubernetes: .*:2 - the zone store has reached its limit of 3"):
        table.assign(config("manifests /one-more"))
