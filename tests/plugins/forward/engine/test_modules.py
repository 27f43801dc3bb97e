"""The modules of the engine: each is listed in the package, and imports only modules that stand above it there."""

import re
from pathlib import Path

import pytest

import fastdns.memory
import fastdns.plugins.forward.engine

ENGINE = "fastdns.plugins.forward.engine"
MAX_LINES = 700
LISTED = re.compile(r"^ +(_\w+) {2,}", re.MULTILINE)


def sources(package: object) -> list[Path]:
    folder = Path(str(package.__file__)).parent  # type: ignore[attr-defined]
    return sorted(path for path in folder.iterdir() if path.suffix in (".pyx", ".pxd"))


def imports(path: Path) -> set[str]:
    return set(re.findall(r"^from (\S+) c?import", path.read_text(), re.MULTILINE))


LAYERS = LISTED.findall(str(fastdns.plugins.forward.engine.__doc__))


def test_each_module_is_listed_once() -> None:
    assert len(LAYERS) == len(set(LAYERS))
    assert set(LAYERS) == {path.stem for path in sources(fastdns.plugins.forward.engine)}


@pytest.mark.parametrize("path", sources(fastdns.plugins.forward.engine), ids=lambda path: path.name)
def test_a_module_imports_only_what_is_below_it(path: Path) -> None:
    below = {f"{ENGINE}.{name}" for name in LAYERS[: LAYERS.index(path.stem)]}
    assert {name for name in imports(path) if name.startswith(ENGINE)} <= below
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", sources(fastdns.memory), ids=lambda path: path.name)
def test_memory_knows_nothing_of_the_rest(path: Path) -> None:
    others = {name for name in imports(path) if name.startswith("fastdns") and "fastdns.memory" not in name}
    # The tree of errors imports nothing.
    assert others <= {"fastdns.errors"}
