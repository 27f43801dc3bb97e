"""Resolves a kubeconfig with the ``kubernetes`` package, in a short-lived child process (credentials.py).

Importing the package takes about 60 MB and most of a second. In a child process, exec plugins also run outside of
the watcher. The package is an extra: ``is_installed`` says whether it is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.api.kubeconfig import Credentials

# An exec plugin may request a token from a cloud. client-go waits without a limit.
CREDENTIALS_TIMEOUT_S = 60.0


def is_installed() -> bool:
    """Whether the kubernetes package is there. It is not imported."""
    return find_spec("kubernetes") is not None


async def ask_package(
    path: Path,
    context: str | None,
    *,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = CREDENTIALS_TIMEOUT_S,
    plugins: bool = True,
) -> Credentials:
    """The credentials of a kubeconfig, read by the kubernetes package in a child. Raises SourceError."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fastdns.plugins.kubernetes.api.credentials",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(os.environ if environ is None else environ),
    )
    try:
        asked = json.dumps(
            {"kubeconfig": str(path), "context": context, "plugins": plugins, "parent": os.getpid()}
        ).encode()
        async with asyncio.timeout(timeout_s):
            printed, complaint = await child.communicate(asked)
    except TimeoutError:
        raise SourceError(
            f"{path}: no credentials within {timeout_s:g} s; expected its exec plugin to answer by then"
        ) from None
    finally:
        # The group includes a plugin that hangs.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    try:
        found = Credentials(**json.loads(printed))
    except (TypeError, ValueError):
        last = complaint.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise SourceError(
            f"{path}: reading it failed with status {child.returncode}: {''.join(last) or 'no output'}"
        ) from None
    if found.error is not None:
        raise SourceError(f"{path}: {found.error}")
    return found
