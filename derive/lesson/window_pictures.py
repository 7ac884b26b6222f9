"""Windows as pictures: the array with what is read around it, what a window covers, and the entry that it gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from derive.handout.blocks import Block, Frames, Inlines
from derive.handout.grids import Cell, Frame, Label, Panel, Place, changed
from derive.language.expression import Access
from derive.lesson.computed import Computed, equated, sides
from derive.lesson.example import Example
from derive.lesson.tables import Shown, cell_text, grids, panels_of, shown
from derive.lesson.windows import Windowed, windowed
from derive.notation import formula
from derive.worked.numerals import written
from derive.worked.terms import Term, terms

MOST_WINDOWS = 6
"""Windows that are shown one by one."""
Legend = tuple[tuple[str, Label], ...]
Read = list[tuple[tuple[int, ...], list[Term]]]


@dataclass(frozen=True)
class Padded:
    """The array that the windows move over with what they read around it: panels, and where a position stands."""

    array: Shown
    origin: tuple[int, ...]
    whole: Shown

    def place(self, position: Sequence[int]) -> Place:
        """The cell of a position of the array, also of one outside it."""
        return self.whole.place([at - low for at, low in zip(position, self.origin, strict=True)])


def _padded(
    computed: Computed, window: Windowed, read: list[tuple[tuple[int, ...], list[Term]]]
) -> tuple[Padded, list[Panel]]:
    example = computed.example
    name = window.array
    at = next(place for key, place in sorted(example.results) if key == name)
    value = example.results[name, at]
    array = shown(name, value, at)
    positions = [term.reads[name] for _, found in read for term in found]
    lows = [min(0, *(place[axis] for place in positions)) for axis in range(len(array.shape))]
    highs = [max(n - 1, *(place[axis] for place in positions)) for axis, n in enumerate(array.shape)]
    whole = Shown(name, tuple(high - low + 1 for low, high in zip(lows, highs, strict=True)), array.superscripts)
    filler = "·" if any(not term.takes_part for _, found in read for term in found) else "0"
    numbers = np.full(whole.shape, "", dtype=object)
    cells: dict[Place, Cell] = {}
    padded = Padded(array, tuple(lows), whole)
    for entry in whole.entries():
        position = tuple(step + low for step, low in zip(entry, lows, strict=True))
        is_inside = all(0 <= step < n for step, n in zip(position, array.shape, strict=True))
        cells[whole.place(entry)] = Cell(cell_text(value[position])) if is_inside else Cell(filler, ("padding",))
    blank = panels_of(whole, np.zeros(numbers.shape, dtype=int), example, blank=True)
    panels = [
        replace(
            one, cells=tuple(tuple(cells[which, i, j] for j in range(len(line))) for i, line in enumerate(one.cells))
        )
        for which, one in enumerate(blank)
    ]
    if whole.shape != array.shape:
        panels[0] = replace(panels[0], title=("padded ", *panels[0].title))
    return padded, panels


def window_frames(computed: Computed, window: Windowed) -> Iterator[Block]:
    """Every window with its arithmetic, over the padded array."""
    example, array = computed.example, computed.array
    read = read_by(computed, window)
    padded, panels = _padded(computed, window, read)
    out = panels_of(array, computed.value, example, "→", blank=True)
    first = len(panels)
    frames: list[Frame] = []
    for entry, found in read[:MOST_WINDOWS]:
        here = _shifted(array.place(entry), first)
        marks = _marks(computed, padded, window, entry, found, first)
        words: Label = (
            formula(array.entry(entry), computed.derivation.names),
            f" = {equated(*sides(computed, entry))}",
        )
        if here[0] < first + len(out):
            frames.append(Frame(words, (*marks, (here, "result")), ((here, written(computed.value[entry])),), here))
    yield Frames(
        (*panels, *out),
        tuple(frames),
        ("Each window and the entry of ", computed.title, " that it gives."),
        _legend(padded, window),
        "windows",
        f"windows-{array.name}",
    )
    if len(read) > MOST_WINDOWS:
        yield from grids(panels_of(array, computed.value, example), ("All entries of ", computed.title, "."))


def read_by(computed: Computed, window: Windowed) -> Read:
    """What each window reads."""
    value = computed.equation.value
    return [(entry, terms(value, computed.scope_at(entry), window.array)) for entry in computed.array.entries()]


def _marks(
    computed: Computed, padded: Padded, window: Windowed, entry: tuple[int, ...], found: list[Term], panels: int
) -> list[tuple[Place, str]]:
    """The cells of one window, and the one that a maximum takes; those on panels that are not shown left out."""
    choice = computed.example.results.get((f"argmax_{computed.name}", computed.superscripts))
    marks = [(padded.place(term.reads[window.array]), "window") for term in found]
    marks += [
        (padded.place(term.reads[window.array]), "winner")
        for term in found
        if choice is not None and term.is_open and choice[(*entry, *term.at)] != 0
    ]
    return [mark for mark in dict.fromkeys(marks) if mark[0][0] < panels]


def _legend(padded: Padded, window: Windowed) -> Legend:
    legend: Legend = (("padding", ("padding",)),) if padded.whole.shape != padded.array.shape else ()
    winner: Legend = (("winner", ("the largest entry",)),) if window.has_maximum else ()
    return (*legend, ("window", ("window",)), *winner, ("result", ("its value",)))


def _shifted(place: Place, by: int) -> Place:
    return (place[0] + by, *place[1:])


def window_figure(example: Example) -> list[Block]:
    """The last window of each equation of the model that has one: what it covers, its weights and what it gives."""
    found: list[Block] = []
    for window in windowed(example.derivation.forward):
        at = next((place for name, place in sorted(example.results) if name == window.equation.target.name), ())
        computed = Computed(example, window.equation, at)
        found += _figure(computed, window)
    return found


def _figure(computed: Computed, window: Windowed) -> list[Block]:
    array, results, names = computed.array, computed.example.results, computed.derivation.names
    read = read_by(computed, window)
    padded, panels = _padded(computed, window, read)
    weights = [
        one
        for name in window.weights
        if (name, ()) in results
        for one in panels_of(shown(name, results[name, ()]), results[name, ()], computed.example, "∗")
    ]
    out = panels_of(array, computed.value, computed.example, "→")
    entry, terms_ = read[_shown_window(array)]
    here = _shifted(array.place(entry), len(panels) + len(weights))
    marks = [*_marks(computed, padded, window, entry, terms_, len(panels)), (here, "result")]
    if here[0] >= len(panels) + len(weights) + len(out):
        return []
    pictures = changed([*panels, *weights, *out], {}, marks)
    caption: Inlines = (
        "The window of ",
        formula(array.entry(entry), names),
        " in the worked example: from one entry of ",
        computed.title,
        " to the next it moves over ",
        formula(Access(window.array), names),
        ".",
    )
    return grids(pictures, caption, _legend(padded, window), f"window-{array.name}")


def _shown_window(array: Shown) -> int:
    """Which window stands in the figure: one that is not the first on any axis."""
    entry = [min(1, extent - 1) for extent in array.shape]
    return int(np.ravel_multi_index(entry, array.shape))
