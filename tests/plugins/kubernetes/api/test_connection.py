"""Where connections come from: the cluster, an endpoint, kubeconfigs of every sort."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastdns.bench.apiserver import ApiServer
from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.api.connection import (
    Connection,
    check,
    checked_url,
    from_endpoint,
    from_kubeconfig,
    in_cluster,
    resolve,
)
from fastdns.plugins.kubernetes.api.files import TokenFile
from fastdns.plugins.kubernetes.api.proxies import proxy_from_environment
from tests.plugins.kubernetes.api.support import options, until


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **more}


async def test_in_cluster(server: ApiServer, tmp_path: Path) -> None:
    environ = server.service_account(tmp_path)
    connection = await resolve(options(), environ=environ, service_account=tmp_path)
    assert connection.host_url == server.url
    assert connection.host == f"127.0.0.1:{server.port}"
    assert connection.token_file == tmp_path / "token"
    assert isinstance(connection.ssl_context(), ssl.SSLContext)
    assert server.token not in repr(connection)


def test_in_cluster_over_ipv6(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t\n")
    (tmp_path / "ca.crt").write_text("pem")
    environ = {"KUBERNETES_SERVICE_HOST": "fd00:10:96::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert in_cluster(environ, tmp_path).host_url == "https://[fd00:10:96::1]:443"


def test_outside_of_a_cluster_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^unable to load in-cluster .* set endpoint, kubeconfig or manifests$"):
        in_cluster({}, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("token", None, "open .*token: no such file"), ("token", " \n", "token is empty"),
     ("ca.crt", None, "open .*ca.crt: no such file"), ("ca.crt", "", "ca.crt is empty")],
)  # fmt: skip
def test_a_broken_service_account_names_the_file(tmp_path: Path, name: str, content: str | None, said: str) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text("pem")
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content)
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(SourceError, match=said):
        in_cluster(environ, tmp_path)


def test_a_token_is_read_again_when_the_file_changes(tmp_path: Path) -> None:
    now = 0.0
    path = tmp_path / "token"
    path.write_text("first")
    token = TokenFile(path, lambda: now)
    assert token.read() == "first"
    # As kubelet does it: another file under the same name.
    (tmp_path / "new").write_text("second")
    (tmp_path / "new").replace(path)
    assert token.read() == "second"
    path.unlink()
    now = 100.0
    assert token.read() == "second"


async def test_endpoint_with_tls(server: ApiServer) -> None:
    cert, key = server.client_certificate()
    connection = await resolve(
        options(endpoint=server.url, tls=(str(cert), str(key), str(server.ca_file))), environ={}
    )
    assert connection.ssl_context() is not None
    assert connection.token_file is None
    broken = dataclasses.replace(connection, key_pem="-----BEGIN PRIVATE KEY-----\nAA==\n")
    with pytest.raises(SourceError, match=r"client certificate and key .* are not usable"):
        broken.ssl_context()
    with pytest.raises(SourceError, match=r"CA bundle .* is not usable"):
        dataclasses.replace(connection, ca_pem="nonsense").ssl_context()


async def test_endpoint_without_scheme_is_http() -> None:
    connection = await resolve(options(endpoint="localhost:8080"), environ={})
    assert connection.host_url == "http://localhost:8080"
    assert connection.ssl_context() is None


@pytest.mark.parametrize("url", ["ftp://x", "https://", "https://h:port", "https://h:99999"])
def test_a_bad_url_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match="expected https://HOST"):
        checked_url(url, "endpoint")


@pytest.mark.parametrize("how", ["token", "token_file", "cert", "exec"])
async def test_kubeconfig(server: ApiServer, tmp_path: Path, how: str) -> None:
    path = server.kubeconfig(tmp_path / "config", how=how, embed=how == "cert")
    connection = await from_kubeconfig(path, "test" if how == "token" else None)
    assert connection.host_url == server.url
    assert connection.ssl_context() is not None
    if how == "cert":
        assert connection.cert_pem is not None and "CERTIFICATE" in connection.cert_pem
        assert connection.headers == ()
    elif how == "token_file":
        assert connection.token_file == server.token_file
    else:
        assert dict(connection.headers) == {"Authorization": f"Bearer {server.token}"}


async def test_kubeconfig_settings_of_the_cluster(tmp_path: Path) -> None:
    path = tmp_path / "config"
    cluster = {
        "server": "https://api.test:6443/",
        "insecure-skip-tls-verify": True,
        "tls-server-name": "kubernetes",
        "proxy-url": "http://proxy.test:3128",
    }
    path.write_text(kubeconfig(cluster, {"username": "u", "password": "p"}))
    connection = await from_kubeconfig(path, None)
    assert connection == Connection(
        host_url="https://api.test:6443",
        insecure=True,
        server_name="kubernetes",
        proxy_url="http://proxy.test:3128",
        headers=(("Authorization", "Basic dTpw"),),
    )


def kubeconfig(cluster: dict[str, object], user: dict[str, object]) -> str:
    return yaml.safe_dump(
        {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )


async def test_what_is_complete_passes_the_check_without_a_server(server: ApiServer, tmp_path: Path) -> None:
    environ = server.service_account(tmp_path) | {"KUBERNETES_SERVICE_PORT": "1"}
    cert, key = server.client_certificate()
    tls = (str(cert), str(key), str(server.ca_file))
    config = server.kubeconfig(tmp_path / "config", how="cert", embed=True)
    config.write_text(config.read_text().replace(server.url, "https://127.0.0.1:1"))
    await check(options(), environ=environ, service_account=tmp_path)
    await check(options(endpoint="https://127.0.0.1:1", tls=tls), environ={})
    await check(options(endpoint="http://absent.test"), environ={})
    await check(options(kubeconfig=str(config)), environ=environment())


@pytest.mark.parametrize(
    ("broken", "content", "said"),
    [
        (0, None, "invalid configuration: unable to read client-cert .* due to open .*: no such file or directory"),
        (1, None, "invalid configuration: unable to read client-key .* due to open .*: no such file or directory"),
        (2, None, "invalid configuration: unable to read certificate-authority .* due to open .*: no such file"),
        (2, "", "unable to read certificate-authority .* is empty"),
        (0, "no PEM", "failed to create kubernetes notification controller: the client certificate and key"),
        (1, "no PEM", "failed to create kubernetes notification controller: the client certificate and key"),
        (2, "no PEM", "failed to create kubernetes notification controller: the CA bundle"),
    ],
)
async def test_files_of_tls_are_checked(
    server: ApiServer, tmp_path: Path, broken: int, content: str | None, said: str
) -> None:
    cert, key = server.client_certificate()
    tls = [str(cert), str(key), str(server.ca_file)]
    tls[broken] = str(tmp_path / "broken")
    if content is not None:
        (tmp_path / "broken").write_text(content)
    with pytest.raises(SourceError, match=said):
        await check(options(endpoint=server.url, tls=tuple(tls)), environ={})


async def test_a_client_certificate_needs_no_writable_folder(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root of the image is read-only."""
    monkeypatch.setattr("tempfile.tempdir", "/proc/absent")
    cert, key = server.client_certificate()
    await check(options(endpoint=server.url, tls=(str(cert), str(key), str(server.ca_file))), environ={})


async def test_the_check_runs_no_credential_plugin(tmp_path: Path) -> None:
    """It may need the network, and time; what it does not give is asked for again as long as it takes."""
    path, ran = tmp_path / "config", tmp_path / "ran"
    plugin = {**FAILING, "command": "touch", "args": [str(ran)]}
    path.write_text(kubeconfig({"server": "https://h"}, {"exec": plugin}))
    await check(options(kubeconfig=str(path)), environ=environment())
    assert not ran.exists()
    with pytest.raises(SourceError, match="credential plugin returned no usable"):
        await from_kubeconfig(path, None)
    assert ran.exists()


FAILING = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}


@pytest.mark.parametrize(
    ("text", "context", "said"),
    [
        (None, None, "open .*config: no such file"),
        ("clusters: {", None, "config: .*"),
        (kubeconfig({"server": "https://h"}, {}), "other", "config: .*other"),
        (kubeconfig({}, {}), None, "config: its cluster names no server"),
        (kubeconfig({"server": "https://h"}, {"exec": FAILING}), None, "credential plugin returned no usable"),
    ],
    ids=["missing", "no YAML", "no such context", "no server", "failing plugin"],
)
async def test_a_bad_kubeconfig_is_named(tmp_path: Path, text: str | None, context: str | None, said: str) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SourceError, match=said):
        await from_kubeconfig(path, context)


async def test_a_plugin_that_hangs_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(kubeconfig({"server": "https://h"}, {"exec": {**FAILING, "command": "cat"}}))
    with pytest.raises(SourceError, match=r"no credentials within 0.1 s"):
        await from_kubeconfig(path, None, timeout_s=0.1)


def hanging(folder: Path) -> tuple[Path, Path]:
    """A kubeconfig whose plugin hangs and has a child, and the file of three IDs: the helper's and theirs."""
    path, ids = folder / "config", folder / "ids"
    ids.unlink(missing_ok=True)
    script = 'sleep 1000 & echo $PPID $$ $! >"$1.new"; mv "$1.new" "$1"; wait'
    plugin = {**FAILING, "command": "sh", "args": ["-c", script, "plugin", str(ids)]}
    path.write_text(kubeconfig({"server": "https://h"}, {"exec": plugin}))
    return path, ids


def living(ids: Path) -> list[int]:
    """Which of the processes are still there. One that nobody has reaped yet has ended."""

    def is_there(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    pids = [int(word) for word in ids.read_text().split()]
    assert len(pids) == 3
    return [pid for pid in pids if is_there(pid)]


async def test_a_plugin_that_hangs_is_killed_when_it_is_given_up(tmp_path: Path) -> None:
    """Each try left one process more."""
    for timeout_s in (2.0, 8.0, 30.0):
        path, ids = hanging(tmp_path)
        with pytest.raises(SourceError, match="no credentials within"):
            await from_kubeconfig(path, None, timeout_s=timeout_s)
        # On a busy machine it may not have been reached.
        if ids.exists():
            break
    await until(lambda: not living(ids))


async def test_a_plugin_that_hangs_is_killed_when_the_source_ends(tmp_path: Path) -> None:
    path, ids = hanging(tmp_path)
    asking = asyncio.create_task(from_kubeconfig(path, None))
    await until(ids.exists, 30.0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: not living(ids))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
async def test_a_watcher_that_is_killed_leaves_neither_helper_nor_plugin(tmp_path: Path, number: int) -> None:
    path, ids = hanging(tmp_path)
    program = (
        "import asyncio, pathlib, sys\n"
        "from fastdns.plugins.kubernetes.api.connection import from_kubeconfig\n"
        "asyncio.run(from_kubeconfig(pathlib.Path(sys.argv[1]), None))"
    )
    watcher = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(path))
    await until(ids.exists, 30.0)
    watcher.send_signal(number)
    await watcher.wait()
    await until(lambda: not living(ids))


async def test_a_plugin_can_be_ended(tmp_path: Path) -> None:
    """The watcher ignores signals; what it starts does not."""
    path, ids = hanging(tmp_path)
    for ignored in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)
    try:
        asking = asyncio.create_task(from_kubeconfig(path, None))
        await until(ids.exists, 30.0)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    plugin = int(ids.read_text().split()[1])
    status = Path(f"/proc/{plugin}/status").read_text()
    ignores = int(status.partition("SigIgn:")[2].split()[0], 16)
    assert ignores & (1 << signal.SIGTERM - 1 | 1 << signal.SIGINT - 1) == 0
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: not living(ids))


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://10.0.0.1:443", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://10.0.0.1:443", {"HTTPS_PROXY": "p:1", "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://10.0.0.1:443", {"HTTP_PROXY": "p:1"}, None),
        ("http://api.test", {"http_proxy": "p:1", "no_proxy": "other.test"}, "http://p:1"),
        ("http://api.test", {"http_proxy": "p:1", "no_proxy": ".test"}, None),
        ("https://127.0.0.1:1", {"HTTPS_PROXY": "p:1"}, None),
        ("https://api.test", {"HTTPS_PROXY": "p:1", "NO_PROXY": "*"}, None),
        ("https://api.test", {}, None),
    ],
)
def test_proxies_as_go_reads_them(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_from_environment(url, environ) == proxy


@pytest.mark.parametrize("proxy", ["socks5://p:1", "http://"])
async def test_a_proxy_that_cannot_be_used_is_refused(proxy: str) -> None:
    with pytest.raises(SourceError, match="is no proxy that can be used"):
        await resolve(options(endpoint="http://api.test"), environ={"HTTP_PROXY": proxy})


async def test_a_proxys_password_does_not_show() -> None:
    with pytest.raises(SourceError, match="'socks5://p:1' is no proxy") as error:
        await resolve(options(endpoint="http://api.test"), environ={"HTTP_PROXY": "socks5://me:s3cret@p:1"})
    assert "s3cret" not in str(error.value)


def test_a_password_in_the_url_is_no_label() -> None:
    assert from_endpoint("https://me:s3cret@api.test:6443", None).host == "api.test:6443"


def test_the_servers_certificate_is_verified_unless_told_otherwise() -> None:
    connection = from_endpoint("https://api.test", None)
    tls = connection.ssl_context()
    assert tls is not None and tls.verify_mode == ssl.CERT_REQUIRED and tls.check_hostname
    assert tls.minimum_version >= ssl.TLSVersion.TLSv1_2
    tls = dataclasses.replace(connection, insecure=True).ssl_context()
    assert tls is not None and tls.verify_mode == ssl.CERT_NONE and not tls.check_hostname


@pytest.mark.parametrize(
    "changes",
    [
        {"host_url": "https://other.test"}, {"ca_pem": "x"}, {"cert_pem": "x"}, {"key_pem": "x"},
        {"server_name": "x"}, {"insecure": True}, {"proxy_url": "http://p:1"},
    ],
    ids=str,
)  # fmt: skip
def test_what_needs_a_new_session(changes: dict[str, Any]) -> None:
    connection = from_endpoint("https://api.test", None)
    assert connection.same_server(dataclasses.replace(connection, headers=(("Authorization", "Bearer x"),)))
    assert not connection.same_server(dataclasses.replace(connection, **changes))
