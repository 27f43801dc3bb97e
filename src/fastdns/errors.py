"""The tree of errors: everything fastdns raises on purpose derives from FastdnsError.

A message names the broken rule and what was expected. If the cause is in a file, it begins with
``FILE:LINE - ``.
"""

from __future__ import annotations


class FastdnsError(Exception):
    """Root of every error that fastdns raises on purpose."""


class CorefileError(FastdnsError):
    """A Corefile cannot be served: the rule that it breaks, and the place.

    ``plugin`` is the plugin whose options are wrong, or None where the grammar itself is broken.
    """

    def __init__(self, message: str, file: str = "", line: int = 0, plugin: str | None = None) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.plugin = plugin
        super().__init__(message)

    def __str__(self) -> str:
        where = f"{self.file}:{self.line} - " if self.file else ""
        if self.plugin is not None:
            return f"plugin/{self.plugin}: {where}Error during parsing: {self.message}"
        return f"{where}Error during parsing: {self.message}" if where else self.message


class UnsupportedError(CorefileError):
    """CoreDNS has it and fastdns does not. what: what that is. todo: what to do instead."""

    def __init__(self, what: str, todo: str, file: str = "", line: int = 0, plugin: str | None = None) -> None:
        self.what = what
        self.todo = todo
        super().__init__(f"{what}: {todo}", file, line, plugin)


class PluginError(FastdnsError):
    """What a plugin finds wrong behind the Corefile, such as in a file that it reads; the directive's place."""

    def __init__(self, message: str, file: str, line: int, plugin: str) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.plugin = plugin
        super().__init__(f"plugin/{plugin}: {file}:{line} - {message}")


class StoreFull(FastdnsError):
    """The zone store has reached its bound; what was published before is still served."""


class SourceError(FastdnsError):
    """A source (API server, manifests) gave unusable data: what is wrong, and where."""
