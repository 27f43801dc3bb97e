"""How many answers are compared with CoreDNS's, by folder of tests: ``python -m tests.plugins.compared``.

Each test with a Case asks both servers one question. Questions that tests ask beside their tables are not counted.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from pathlib import Path

import pytest

from tests.plugins.beside import Case

HERE = Path(__file__).parent


class Counting:
    """A plugin of pytest that counts what it collects."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Count a test of a module whose servers are both there."""
        params = item.callspec.params if hasattr(item, "callspec") else {}
        text = item.path.read_text()
        asks_both = "Both" in text and "coredns=None" not in text
        if asks_both and any(isinstance(param, Case) for param in params.values()):
            self.found[item.path.relative_to(HERE).with_suffix("").as_posix()] += 1


def main() -> None:
    """Print the number of each file, and of all."""
    counting = Counting()
    with contextlib.redirect_stdout(io.StringIO()):
        code = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", str(HERE)], plugins=[counting])
    assert code == pytest.ExitCode.OK, f"tests cannot be collected: {code}"
    for name, count in sorted(counting.found.items()):
        print(f"{count:5} {name}")
    print(f"{sum(counting.found.values()):5} in all")


if __name__ == "__main__":
    main()
