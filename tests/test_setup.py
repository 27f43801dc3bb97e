"""What setup.py builds: a source distribution that is complete, and nothing where it finds no module to compile."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.deploy.package import build_sdist, check_contents

ROOT = Path(__file__).parents[1]


def setup(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run setup.py in folder."""
    return subprocess.run(
        [sys.executable, "setup.py", *words], cwd=folder, env={**os.environ, **environ}, capture_output=True,
        text=True, timeout=100,
    )  # fmt: skip


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with what setup.py needs, and no .pyx file, as the source distribution of 0.1.0 had none."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "src" / "fastdns").mkdir(parents=True)
    shutil.copy(ROOT / "src" / "fastdns" / "__init__.py", tmp_path / "src" / "fastdns")
    return tmp_path


def test_the_source_distribution_has_every_source(tmp_path: Path) -> None:
    with tarfile.open(build_sdist(tmp_path)) as archive:
        names = {member.name.partition("/")[2]: member for member in archive if member.isfile()}
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "src").rglob("*")
        if path.suffix in (".py", ".pyx", ".pxd", ".pyi", ".md", ".yaml", ".typed")
    }
    assert {"src/fastdns/_wire.pyx", "src/fastdns/_wire.pxd", "src/fastdns/example.yaml"} <= sources
    assert sources <= names.keys()
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", "SECURITY.md"} <= names.keys()
    made = [name for name in names if name.endswith((".so", ".c", ".pyc"))]
    assert made == []


@pytest.mark.parametrize("words", [("build_ext",), ("bdist_wheel",), ("sdist",)], ids=" ".join)
def test_a_build_without_a_module_to_compile_fails(bare: Path, words: tuple[str, ...]) -> None:
    ended = setup(bare, *words)
    assert ended.returncode == 1
    assert f"setup.py: no .pyx file below {(bare / 'src').resolve()}: fastdns cannot be built" in ended.stderr
    assert not (bare / "dist").exists()


def test_there_is_no_wheel_without_extensions(bare: Path) -> None:
    ended = setup(bare, "bdist_wheel", FASTDNS_NO_EXTENSIONS="1")
    assert ended.returncode == 1
    assert "a wheel without extensions serves nothing: unset FASTDNS_NO_EXTENSIONS" in ended.stderr
    assert not (bare / "dist").exists()


def test_extensions_of_tests_are_built_in_place_and_apart(bare: Path) -> None:
    folder = bare / "tests" / "plugins"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").write_text("")
    (folder / "_one.pyx").write_text("def one():\n    return 1\n")
    ended = setup(bare, "--quiet", "build_ext", "--inplace", FASTDNS_TESTS="1")
    assert ended.returncode == 0, ended.stderr
    assert [path.name.partition(".")[0] for path in folder.glob("*.so")] == ["_one"]
    # What is below build/lib would be packed into the next wheel.
    built = list((bare / "build").rglob("*.so"))
    assert built and all(path.is_relative_to(bare / "build" / "tests") for path in built)
    assert list((bare / "src").rglob("*.so")) == []


@pytest.mark.parametrize("words", [("bdist_wheel",), ("sdist",), ("build_ext",)], ids=" ".join)
def test_extensions_of_tests_are_built_in_no_other_way(bare: Path, words: tuple[str, ...]) -> None:
    (bare / "tests").mkdir()
    (bare / "tests" / "_one.pyx").write_text("def one():\n    return 1\n")
    ended = setup(bare, *words, FASTDNS_TESTS="1")
    assert ended.returncode == 1
    assert "FASTDNS_TESTS builds the extensions of tests/, which no package contains" in ended.stderr
    assert not (bare / "dist").exists()


def test_packages_with_what_only_tests_use_are_refused(tmp_path: Path) -> None:
    def sdist(*names: str) -> Path:
        path = tmp_path / "fastdns-1.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for name in names:
                archive.addfile(tarfile.TarInfo(f"fastdns-1/{name}"))
        return path

    def wheel(*names: str) -> Path:
        path = tmp_path / "fastdns-1.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"")
        return path

    sources, packed = ("src/fastdns/a.py", "src/fastdns/_b.pyx"), ("fastdns/a.py", "fastdns/_b.cpython-311-x86.so")
    manual = "fastdns-1.data/data/share/man"
    pages = (f"{manual}/man1/fastdns.1", f"{manual}/man5/corefile.5", f"{manual}/man7/fastdns-kubernetes.7")
    check_contents(sdist(*sources), wheel(*packed, *pages, "fastdns-1.dist-info/RECORD"))
    with pytest.raises(SystemExit, match=r"lacks pages of the manual: it has none"):
        check_contents(sdist(*sources), wheel(*packed))
    for added, to_wheel, message in (
        ("tests/_c.pyx", (), "fastdns-1.tar.gz has what only tests use: tests/_c.pyx"),
        ("README.md", ("fastdns/_c.cpython-311-x86.so",), "has what no source of fastdns makes: fastdns/_c.so"),
        ("README.md", ("tests/_c.cpython-311-x86.so",), "has what no source of fastdns makes: tests/_c.so"),
    ):
        with pytest.raises(SystemExit, match=re.escape(message)):
            check_contents(sdist(*sources, added), wheel(*packed, *pages, *to_wheel))
    with pytest.raises(SystemExit, match=r"lacks fastdns/_b\.so"):
        check_contents(sdist(*sources), wheel("fastdns/a.py"))


def test_metadata_alone_compiles_nothing(bare: Path) -> None:
    (bare / "src" / "fastdns" / "_one.pyx").write_text("this is no Cython: it would not compile\n")
    assert setup(bare, "--quiet", "egg_info").returncode == 0
    ended = setup(bare, "--quiet", "build_ext")
    assert ended.returncode != 0
    assert "_one.pyx" in ended.stderr + ended.stdout


def test_a_build_says_little(bare: Path) -> None:
    """The compiler's output scrolled by for minutes."""
    (bare / "src" / "fastdns" / "_one.pyx").write_text("def one():\n    cdef int unused\n    return 1\n")
    ended = setup(bare, "--quiet", "build_ext")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.splitlines()[0] == "Cython: 1 modules"
    assert ended.stderr.splitlines()[1].startswith("C compiler: 1 modules, ")
    assert len(ended.stderr.splitlines()) == 2


def test_the_readme_of_an_index_has_no_relative_link(bare: Path) -> None:
    assert setup(bare, "--quiet", "egg_info", FASTDNS_NO_EXTENSIONS="1").returncode == 0
    metadata = email.message_from_string((bare / "src" / "fastdns.egg-info" / "PKG-INFO").read_text())
    text = str(metadata.get_payload())
    home = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))["Homepage"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["License-Expression"] == "Apache-2.0"
    targets = re.findall(r"\]\(([^)]*)\)", text)
    assert len(targets) == len(re.findall(r"\]\(([^)]*)\)", (ROOT / "README.md").read_text())) > 20
    assert [target for target in targets if not target.startswith(f"{home}/")] == []
    assert f"]({home}/blob/main/docs/explanation/overload.md)" in text
    assert re.search(rf"!\[[^]]*\]\({home}/raw/main/docs/compare\.svg\)", text)


def test_links_of_the_readme_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]*)", (ROOT / "README.md").read_text())
    assert [target for target in targets if not (ROOT / target).exists()] == []
