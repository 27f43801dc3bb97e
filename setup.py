"""Builds the Cython extensions. Metadata is in pyproject.toml.

Switches, all environment variables set to 1:
    FASTDNS_ANNOTATE       write the annotated HTML of every extension beside its source
    FASTDNS_LINETRACE      line tracing for coverage
    FASTDNS_SANITIZE       address and undefined-behaviour sanitizers, -O1, frame pointers
    FASTDNS_DEBUG          -O0 -g and C assertions
    FASTDNS_NO_EXTENSIONS  none of them, for an editable install whose extensions are built in place afterwards
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

SOURCE = Path("src")


def switch(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


# What Cython writes for `for i in range(CONSTANT)` compares signs, and it writes more functions than it calls.
warnings = ["-Wall", "-Wno-unused-function", "-Wno-sign-compare"]
compile_args = ["-O3", "-g0", "-fno-strict-aliasing", "-fvisibility=hidden", *warnings]
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
    compile_args = ["-O0", "-g", "-fno-strict-aliasing", *warnings]
if switch("FASTDNS_SANITIZE"):
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    compile_args = ["-O1", "-g", "-fno-omit-frame-pointer", "-fno-strict-aliasing", *sanitize]
    link_args = sanitize
if switch("FASTDNS_LINETRACE"):
    directives["linetrace"] = True
    macros.append(("CYTHON_TRACE_NOGIL", "1"))

extensions = [
    Extension(
        ".".join(path.relative_to(SOURCE).with_suffix("").parts),
        [str(path)],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        define_macros=macros,
    )
    for path in sorted((SOURCE / "fastdns").rglob("*.pyx"))
    if not switch("FASTDNS_NO_EXTENSIONS")
]

setup(
    ext_modules=cythonize(
        extensions,
        compiler_directives=directives,
        annotate=switch("FASTDNS_ANNOTATE"),
        include_path=[str(SOURCE)],
        nthreads=os.cpu_count() or 1,
    ),
    # pip has no switch for it.
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
