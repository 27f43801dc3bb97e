"""``python -m fastdns.bench.apiserver``: serves a generated cluster until a signal ends it.

When ready it prints one line of JSON: url, control (see the module control), kubeconfig, token, counts.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import signal
import tempfile
from pathlib import Path

from fastdns.bench.apiserver.control import Control
from fastdns.bench.apiserver.generator import fill
from fastdns.bench.apiserver.kubeconfig import HOWS
from fastdns.bench.apiserver.server import BOOKMARK_EVERY_S, ApiServer
from fastdns.bench.apiserver.store import WINDOW, Store


def arguments() -> argparse.Namespace:
    boolean = argparse.BooleanOptionalAction
    parser = argparse.ArgumentParser(prog="python -m fastdns.bench.apiserver", description=__doc__)
    parser.add_argument("--services", type=int, default=100)
    parser.add_argument("--endpoints", type=int, default=10, help="of each service")
    parser.add_argument("--namespaces", type=int, default=0, help="0: a number that fits the services")
    parser.add_argument("--pods", action=boolean, default=False, help="a pod behind each endpoint")
    parser.add_argument("--imports", action=boolean, default=False, help="serve the multicluster API")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--churn", type=float, default=0.0, help="changes a second")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on, an IPv4 address")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--tls", action=boolean, default=True)
    parser.add_argument("--auth", action=boolean, default=True)
    parser.add_argument("--gzip", action=boolean, default=True)
    parser.add_argument("--protobuf", action=boolean, default=True, help="answer in protobuf on request")
    parser.add_argument("--window", type=int, default=WINDOW, help="events kept of each resource")
    parser.add_argument("--bookmark-every", type=float, default=BOOKMARK_EVERY_S, help="seconds")
    parser.add_argument("--kubeconfig", type=Path, help="where to write it")
    parser.add_argument("--how", choices=HOWS, default="token", help="how the kubeconfig's user authenticates")
    parser.add_argument("--directory", type=Path, help="for certificates and the token")
    return parser.parse_args()


async def serve(how: argparse.Namespace, directory: Path) -> None:
    store = Store(window=how.window, seed=how.seed)
    made = fill(
        store,
        services=how.services,
        endpoints=how.endpoints,
        namespaces=how.namespaces,
        pods=how.pods,
        seed=how.seed,
    )
    server = ApiServer(
        store,
        tls=how.tls,
        auth=how.auth,
        host=how.host,
        port=how.port,
        imports=how.imports,
        gzip=how.gzip,
        protobuf=how.protobuf,
        directory=directory,
        bookmark_every_s=how.bookmark_every,
    )
    control = Control(server)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    if how.protobuf:
        server.warm()
    await server.start()
    await control.start(how.control_port)
    kubeconfig = server.kubeconfig(how.kubeconfig or directory / "kubeconfig", how=how.how)
    line = {
        "url": server.url,
        "control": control.url,
        "kubeconfig": str(kubeconfig),
        "token": server.token,
        "token_file": str(server.token_file),
        "ca_file": str(server.ca_file) if server.ca_file else None,
        **dataclasses.asdict(made),
    }
    print(json.dumps(line), flush=True)
    await control.churn(how.churn, seed=how.seed)
    await ended.wait()
    await control.stop()
    await server.stop()


def main() -> None:
    how = arguments()
    with tempfile.TemporaryDirectory(prefix="apiserver-") as temporary:
        directory = how.directory or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        asyncio.run(serve(how, directory))


if __name__ == "__main__":
    main()
