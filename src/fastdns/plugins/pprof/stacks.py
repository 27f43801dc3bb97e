"""The samples of a profile as stacks of named frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastdns.plugins.pprof.profiler import Profile, Sample
from fastdns.plugins.pprof.symbols import Names

# Frames of the interpreter itself: what is below them is told as frames of Python's.
INTERPRETER = ("_PyEval_EvalFrame", "_PyEval_Vector", "_PyFunction_Vectorcall", "PyEval_EvalCode", "Py_RunMain")


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in the program. Native ones have no lines."""

    function: str
    file: str
    first_line: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Stack:
    """The innermost frame first."""

    process: str
    thread: str
    frames: tuple[Frame, ...]
    count: int


def stacks(profile: Profile) -> Iterator[Stack]:
    """All of a profile."""
    names = Names()
    for sample in profile.samples:
        frames = tuple(native_frames(names, sample)) + tuple(
            Frame(function, file, first, line) for function, file, first, line in sample.python
        )
        if frames:
            yield Stack(sample.process, sample.thread, frames, sample.count)


def native_frames(names: Names, sample: Sample) -> Iterator[Frame]:
    """The native frames of a sample: all of a thread without Python, else those above the interpreter."""
    for depth, address in enumerate(sample.native):
        # All but the innermost are where calls return to: behind the call, perhaps in the next function.
        at = address - (1 if depth else 0)
        function = names.function(at)
        if sample.python and function.startswith(INTERPRETER):
            return
        place = names.place(at)
        yield Frame(function, place.file if place else "")
