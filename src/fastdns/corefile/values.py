"""Text of a Corefile: reading it, cleaning it, and putting the environment's values into it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

# A Kubernetes ConfigMap holds at most 1 MiB; a device or a wrong path should not be read for ever.
MAX_FILE_BYTES = 16 * 1024 * 1024

_REFERENCE = re.compile(r"\{%(.+?)%\}|\{\$([^}]+)\}", re.DOTALL)


def read_text(path: str, *, pipe: bool = False) -> str:
    """A file's text; what is no UTF-8 becomes U+FFFD. Raises OSError, or ValueError if it is too long.

    pipe: also of a named pipe. Who opens one waits for a writer, so a reload could wait for ever.
    """
    if Path(path).is_dir():
        raise IsADirectoryError("it is a directory")
    if Path(path).is_fifo() and not pipe:
        raise OSError("it is a pipe")
    with Path(path).open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"it has more than {MAX_FILE_BYTES} bytes")
    return data.decode("utf-8", "replace")


def clean(text: str) -> str:
    """text without lone surrogates, which no name or file could carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """text with each ``{$NAME}`` and ``{%NAME%}`` replaced; an unset variable is empty.

    A value is not searched for references again.
    """
    if "{" not in text:
        return text
    return _REFERENCE.sub(lambda found: clean(environ.get(found[1] or found[2], "")), text)
