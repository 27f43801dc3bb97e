"""Builds the Cython extensions. Metadata is in pyproject.toml.

Switches, all environment variables set to 1:
    FASTDNS_ANNOTATE       write the annotated HTML of every extension beside its source
    FASTDNS_LINETRACE      line tracing for coverage
    FASTDNS_SANITIZE       address and undefined-behaviour sanitizers, -O1, frame pointers
    FASTDNS_DEBUG          -O0 -g and C assertions
    FASTDNS_WARNINGS       the C compiler's warnings
    FASTDNS_NO_EXTENSIONS  none of them, for an editable install whose extensions are built in place afterwards
    FASTDNS_TESTS          the extensions of tests/ instead of the package's; they are built in place only

The compiler is $CC, or Python's own, through ccache where ccache is installed.
"""

import os
import re
import shutil
import sys
import sysconfig
import threading
import tomllib
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

JOBS = len(os.sched_getaffinity(0))
# Modules that no query and no listing of a cluster passes through: -O3 would only cost the builder time.
COLD = (
    "fastdns.bench._answers",
    "fastdns.bench._counts",
    "fastdns.bench._questions",
    "fastdns.library.",
    "fastdns.regex._table",
    "tests.",
)


def switch(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


# What Cython writes for `for i in range(CONSTANT)` compares signs, and it writes more functions than it calls. What
# else it writes depends on the version of Cython, Python and compiler, and is no matter of who only installs.
warnings = ["-Wall", "-Wno-unused-function", "-Wno-sign-compare"] if switch("FASTDNS_WARNINGS") else ["-w"]
optimization = ["-O3", "-g0"]
cold_optimization = ["-O1", "-g0"]
compile_args = ["-fno-strict-aliasing", "-fvisibility=hidden", *warnings]
link_args: list[str] = []
macros: list[tuple[str, str | None]] = [("_GNU_SOURCE", None)]
directives: dict[str, object] = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "freethreading_compatible": False,
}
if switch("FASTDNS_DEBUG"):
    optimization = cold_optimization = ["-O0", "-g"]
    compile_args = ["-fno-strict-aliasing", *warnings]
if switch("FASTDNS_SANITIZE"):
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    optimization = cold_optimization = ["-O1", "-g"]
    compile_args = ["-fno-omit-frame-pointer", "-fno-strict-aliasing", *sanitize, *warnings]
    link_args = sanitize
if switch("FASTDNS_LINETRACE"):
    directives["linetrace"] = True
    macros.append(("CYTHON_TRACE_NOGIL", "1"))


FOR_TESTS = switch("FASTDNS_TESTS")
# Modules are named from the folder, and their sources are below the package.
FOLDER, PACKAGE = (Path(), "tests") if FOR_TESTS else (Path("src"), "fastdns")


def extensions() -> list[Extension]:
    """One for each .pyx file."""
    if FOR_TESTS:
        # Everything below the build's folder goes into the next wheel, so only a build in place is allowed.
        if "build_ext" not in sys.argv or "--inplace" not in sys.argv:
            raise SystemExit(
                "setup.py: FASTDNS_TESTS builds the extensions of tests/, which no package contains: use "
                "`build_ext --inplace`, or unset FASTDNS_TESTS"
            )
    elif switch("FASTDNS_NO_EXTENSIONS"):
        if "bdist_wheel" in sys.argv:
            raise SystemExit("setup.py: a wheel without extensions serves nothing: unset FASTDNS_NO_EXTENSIONS")
        return []
    found = []
    for path in sorted((FOLDER / PACKAGE).rglob("*.pyx")):
        name = ".".join(path.relative_to(FOLDER).with_suffix("").parts)
        found.append(
            Extension(
                name,
                [str(path)],
                extra_compile_args=[*(cold_optimization if name.startswith(COLD) else optimization), *compile_args],
                extra_link_args=link_args,
                define_macros=macros,
            )
        )
    if not found:
        raise SystemExit(
            f"setup.py: no .pyx file below {FOLDER.resolve()}: fastdns cannot be built from this folder; a "
            "complete source distribution or checkout has them"
        )
    return found


def readme() -> str:
    """README.md as a page of a package index: what is relative to the repository there becomes an address in it."""
    home = tomllib.loads(Path("pyproject.toml").read_text())["project"]["urls"]["Homepage"]

    def absolute(found: re.Match[str]) -> str:
        kind = "raw" if found[1].startswith("!") else "tree" if found[2].endswith("/") else "blob"
        return f"{found[1]}({home}/{kind}/main/{found[2]})"

    text = Path("README.md").read_text(encoding="utf-8")
    return re.sub(r"(!?\[[^\]]*\])\((?!https?:|#)([^)\s]+)\)", absolute, text)


class Progress:
    """One line that says how far the build is: rewritten on a terminal, elsewhere only where a step begins."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.lock = threading.Lock()
        self.done = 0

    def step(self, text: str) -> None:
        """A step begins."""
        self.done = 0
        self._show(text, end="" if self.terminal else "\n")

    def count(self, total: int, text: str) -> None:
        """One more of total is done."""
        with self.lock:
            self.done += 1
            if self.terminal:
                self._show(f"[{self.done}/{total}] {text}", end="\n" if self.done == total else "")

    def _show(self, text: str, end: str) -> None:
        start = "\r\x1b[K" if self.terminal else ""
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)


class BuildExtensions(build_ext):
    """Cython, then the C compiler, on all CPUs: nothing of it for metadata or a source archive."""

    progress = Progress()

    def finalize_options(self) -> None:
        super().finalize_options()
        # pip has no switch for it.
        self.parallel = self.parallel or JOBS

    def run(self) -> None:
        if self.extensions:
            self.cythonize()
        compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
        if shutil.which("ccache") and "ccache" not in compiler:
            os.environ["CC"] = f"ccache {compiler}"
        super().run()

    def cythonize(self) -> None:
        """Replace each extension's .pyx file by the C file that is made of it."""
        from Cython.Build import cythonize

        self.progress.step(f"Cython: {len(self.extensions)} modules")
        # In place: setuptools has noted more in these objects.
        made = cythonize(
            self.extensions,
            compiler_directives=directives,
            annotate=switch("FASTDNS_ANNOTATE"),
            include_path=["src"],
            nthreads=JOBS,
            quiet=True,
        )
        sources = {extension.name: extension for extension in made}
        for extension in self.extensions:
            extension.sources = sources[extension.name].sources
            extension.depends = sources[extension.name].depends

    def build_extensions(self) -> None:
        # The longest first: none of them is left to compile alone at the end.
        self.extensions.sort(key=lambda one: -sum(Path(source).stat().st_size for source in one.sources))
        self.progress.step(f"C compiler: {len(self.extensions)} modules, {self.parallel} at a time")
        super().build_extensions()

    def build_extension(self, extension: Extension) -> None:
        super().build_extension(extension)
        self.progress.count(len(self.extensions), extension.name)


def manual_pages() -> list[tuple[str, list[str]]]:
    """The pages of the manual, which a wheel installs below share/man."""
    if "bdist_wheel" not in sys.argv:
        return []
    sys.path.insert(0, str(FOLDER.resolve()))
    from fastdns import manual

    return manual.write(Path("build"))


in_tests: dict[str, object] = {}
if FOR_TESTS:
    # A folder of its own: what is built in build/lib becomes part of the next wheel.
    in_tests = {"package_dir": {"tests": "tests"}, "options": {"build": {"build_base": "build/tests"}}}

setup(
    ext_modules=extensions(),
    data_files=manual_pages(),
    cmdclass={"build_ext": BuildExtensions},
    **in_tests,
    long_description=readme(),
    long_description_content_type="text/markdown",
)
