"""No source file has over 700 lines: one that outgrows them holds more than one idea.

LARGER holds the files that are larger today, with who splits them. It may only shrink.
"""

from __future__ import annotations

from tests.reading import ROOT, modules

MAX_LINES = 700
LARGER: dict[str, str] = {}


def test_no_file_is_larger_than_one_idea() -> None:
    source = ROOT / "src" / "fastdns"
    lines = {
        path.relative_to(source).as_posix(): len(path.read_text().splitlines())
        for files in modules(ROOT / "src", "fastdns").values()
        for path in files
    }
    assert len(lines) > 200
    larger = {place for place, count in lines.items() if count > MAX_LINES}
    assert {place: lines[place] for place in larger - LARGER.keys()} == {}, "split them along their ideas"
    assert LARGER.keys() - larger == set(), "they are small now: remove them from LARGER"
