"""What is looked at before a configuration is served: errors begin as CoreDNS's, with the place in the Corefile."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastdns.corefile import ServerConfig, load
from fastdns.corefile.mistakes import Mistakes
from fastdns.errors import FastdnsError
from fastdns.plugins.api import Check
from fastdns.plugins.forward.upstreams import MAX_STANZAS
from fastdns.plugins.order import named
from fastdns.skipped import SkippedLines
from tests.plugins.forward.engine.support import Forwarder

pytestmark = pytest.mark.native


def check_files(config: ServerConfig) -> list[str]:
    """The warnings of all plugins."""
    check = Check(config, SkippedLines(), Mistakes())
    for plugin in named(config):
        plugin.check(check)
    return check.warnings


async def check_accounts(config: ServerConfig) -> None:
    """Those of all plugins, in an empty environment."""
    for plugin in named(config):
        await plugin.check_accounts(config, {})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("", "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must"),
        ("kubeconfig absent", "open absent: no such file or directory; expected a kubeconfig"),
        ("kubeconfig empty", "empty is empty; expected a kubeconfig"),
        ("kubeconfig broken", "broken: "),
        ("kubeconfig broken context", "broken: "),
        ("endpoint ftp://192.0.2.1", "endpoint: 'ftp://192.0.2.1' is not the URL of an API server"),
        (
            "endpoint https://192.0.2.1\ntls c k ca",
            "invalid configuration: unable to read client-cert c due to open c: no such file or directory",
        ),
    ],
)
async def test_a_cluster_that_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("")
    (tmp_path / "broken").write_text("clusters: {")
    config = load(f"cluster.local {{\nerrors\nkubernetes {{\n{options}\n}}\n}}", environ={})
    with pytest.raises(FastdnsError) as caught:
        await check_accounts(config)
    assert str(caught.value).startswith(f"plugin/kubernetes: Corefile:3 - {says}")
    assert check_files(config) == []


async def test_a_server_that_nobody_runs_is_no_error() -> None:
    config = load("cluster.local {\nkubernetes {\nendpoint http://127.0.0.1:1\n}\n}", environ={})
    await check_accounts(config)


async def test_manifests_need_no_account() -> None:
    config = load("cluster.local {\nkubernetes {\nmanifests absent.yaml\n}\n}", environ={})
    await check_accounts(config)
    assert check_files(config) == []


def test_a_bad_weight_file_is_said_with_both_places(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_text("www.example.org\n192.0.2.1 300\n")
    config = load(f". {{\nroot {tmp_path}\nloadbalance weighted weights\n}}", environ={})
    with pytest.raises(FastdnsError) as caught:
        check_files(config)
    says = f'wrong weight value:"300" in weight file {weights}:2; 1 to 255 expected'
    said = f"plugin/loadbalance: Corefile:3 - {says}; the line is skipped, and no other is left: "
    assert str(caught.value).startswith(said)


def test_a_missing_weight_file_is_a_warning() -> None:
    config = load(". {\nloadbalance weighted /absent\n}\na {\nloadbalance\n}", environ={})
    (warning,) = check_files(config)
    assert warning.startswith("plugin/loadbalance: Failed to open weight file:weight file open error: /absent: ")


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        ("endpoint a\nsnapshot s", "endpoint a\nsnapshot s\nttl 30", ""),
        ("endpoint a\nsnapshot s", "endpoint a\nsnapshot t", ""),
        ("endpoint a\nsnapshot s", "endpoint a", ""),
        ("endpoint a\nsnapshot s", "endpoint b\nsnapshot s", "the snapshot s is also used by the kubernetes at"),
        ("endpoint a\nsnapshot s", "endpoint a\nsnapshot s 1h", "the snapshot s is also used by"),
    ],
    ids=["the same cluster", "a file each", "one without", "another cluster", "other options"],
)
def test_two_clusters_cannot_share_a_snapshot(one: str, other: str, says: str) -> None:
    config = load(f"a {{\nkubernetes {{\n{one}\n}}\n}}\nb {{\nkubernetes {{\n{other}\n}}\n}}", environ={})
    if not says:
        assert check_files(config) == []
        return
    with pytest.raises(FastdnsError, match=f"^plugin/kubernetes: Corefile:8 - {says}"):
        check_files(config)


def forwards(count: int) -> str:
    """So many stanzas, a line each."""
    return "".join(f"forward z{number}.example 127.0.0.1\n" for number in range(count))


def test_more_stanzas_of_forward_than_workers_count() -> None:
    """Of all blocks together; the first one without a place is named."""
    text = f".:53 {{\n{forwards(40)}}}\n.:54 {{\nwhoami\n{forwards(MAX_STANZAS - 40)}}}\n"
    assert check_files(load(text, environ={})) == []
    with pytest.raises(FastdnsError) as caught:
        check_files(load(text.replace("whoami\n", f"whoami\n{forwards(2)}"), environ={}))
    says = f"at most {MAX_STANZAS} are possible in a Corefile, got {MAX_STANZAS + 2}"
    assert str(caught.value) == f"plugin/forward: Corefile:{44 + MAX_STANZAS - 40 + 1} - {says}"


def test_what_is_checked_is_what_workers_have_room_for() -> None:
    with Forwarder(forwards(MAX_STANZAS)):
        pass
    with pytest.raises(ValueError, match=f"at most {MAX_STANZAS} forward stanzas"):
        Forwarder(forwards(MAX_STANZAS + 1))
