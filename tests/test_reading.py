"""How tests read sources: an import or a name that is overlooked would pass every test of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reading import ROOT, Token, cython_imports, imports, modules, python_imports, tokens

CYTHON = '''\
"""import docstring"""
cimport one
from two.three cimport a, b  # from four cimport c
from five cimport (
    d, e as f,
    # from comment cimport g
    h,
)
from six import i, \\
    j
import seven as s, eight.nine
cdef extern from "import.h" nogil:
    int k
cdef inline int m(const char* text) noexcept nogil:
    from ten import n
    return c"from eleven import o"[0] == c'\\''
from twelve cimport p; from thirteen cimport q
'''


def test_imports_of_cython() -> None:
    assert list(cython_imports(CYTHON)) == [
        (2, "one", []),
        (3, "two.three", ["a", "b"]),
        (4, "five", ["d", "e", "h"]),
        (9, "six", ["i", "j"]),
        (11, "seven", []),
        (11, "eight.nine", []),
        (15, "ten", ["n"]),
        (17, "twelve", ["p"]),
        (17, "thirteen", ["q"]),
    ]


def test_imports_of_python() -> None:
    text = "import a.b, c\nif TYPE_CHECKING:\n    from d import e as f\ndef g():\n    from .h import i\n"
    assert list(python_imports(text)) == [(1, "a.b", []), (1, "c", []), (3, "d", ["e"]), (5, ".h", ["i"])]


def test_python_is_read_alike_by_both() -> None:
    """Every source of Python here: what ``ast`` finds in it, the reader of Cython finds."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    assert len(files) > 200
    for path in files:
        text = path.read_text()
        assert sorted(cython_imports(text)) == sorted(python_imports(text)), path


def test_tokens() -> None:
    text = "x = b'it\\'s' + rb\"a\"\n'''two\nlines'''; y_1 # no\nz = 'a' \"\" 0x1F\n"
    assert [token for token in tokens(text) if token.kind != "mark"] == [
        Token("name", "x", 1),
        Token("string", "it\\'s", 1),
        Token("string", "a", 1),
        Token("string", "two\nlines", 2),
        Token("name", "y_1", 3),
        Token("name", "z", 4),
        Token("string", "a", 4),
        Token("string", "", 4),
    ]


def test_modules_and_their_imports(tmp_path: Path) -> None:
    package = tmp_path / "p"
    (package / "q").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "q" / "__init__.py").write_text("")
    (package / "q" / "_native.pyx").write_text("from p cimport q\nfrom p.q cimport _other\nfrom libc cimport a\n")
    (package / "q" / "_native.pxd").write_text("from p.q._other cimport name\n")
    (package / "q" / "_other.pxd").write_text("")
    known = modules(tmp_path, "p")
    assert known == {
        "p": (package / "__init__.py",),
        "p.q": (package / "q" / "__init__.py",),
        "p.q._native": (package / "q" / "_native.pxd", package / "q" / "_native.pyx"),
        "p.q._other": (package / "q" / "_other.pxd",),
    }
    assert [(one.line, one.target) for one in imports(package / "q" / "_native.pyx", known)] == [
        (1, "p.q"), (2, "p.q._other"),
    ]  # fmt: skip
    assert [one.target for one in imports(package / "q" / "_native.pxd", known)] == ["p.q._other"]
    (package / "q" / "_other.pxd").write_text("\nfrom . cimport _native\n")
    with pytest.raises(ValueError, match=r"_other\.pxd:2: a relative import"):
        imports(package / "q" / "_other.pxd", known)
