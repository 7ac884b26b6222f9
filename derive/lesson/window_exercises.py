"""Exercises about windows: sizes, tables to fill in, who reads whom, a wrong cell, a matrix, ties; answers computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from derive.derivation import Derivation, DerivationError
from derive.evaluate import bindings, exact, run
from derive.handout.blocks import Exercise, Grid, Inline, Inlines, Paragraph
from derive.handout.formula import Formula, row
from derive.handout.grids import Panel, changed
from derive.language import expression as ast
from derive.language.expression import Access
from derive.lesson.computed import Computed, equated, sides
from derive.lesson.example import Example, worked_example
from derive.lesson.matrices import MOST_COLUMNS, matrix_grid, matrix_sizes
from derive.lesson.size_exercises import count_exercise, size_exercise
from derive.lesson.tables import number_formula, panels_of, shown
from derive.lesson.window_pictures import Read, read_by
from derive.lesson.windows import Windowed, windowed
from derive.lesson.words import listed
from derive.notation import formula, plain_name
from derive.worked.numerals import written

WRONG = 1
"""By how much the wrong cell is wrong."""


def window_exercises(derivation: Derivation, example: Example) -> Iterator[Exercise]:
    """The exercises about the first window of the model; nothing where it has none."""
    found = [
        w
        for w in windowed(derivation.forward)
        if not derivation.forward.declaration(w.equation.target.name).superscripts
    ]
    if not found:
        return
    window = found[0]
    others = [_other(derivation, example, seed) for seed in (1, 2)]
    yield from size_exercise(derivation)
    yield from _table(derivation, window, others[0])
    yield from _readers(window, example)
    yield from _gradient(window, others[0])
    yield from _wrong(window, others[1])
    yield from _matrix(derivation, window)
    yield from count_exercise(derivation, window)
    for one in found:
        yield from _ties(one, example)


def _other(derivation: Derivation, example: Example, seed: int) -> Example:
    """An example of the same sizes with other numbers."""
    for number in range(seed, seed + 20):
        other = worked_example(derivation, number)
        if other.sizes == example.sizes and any(
            not np.array_equal(other.values[key], value) for key, value in example.values.items()
        ):
            return other
    return example


# Tables to fill in ----------------------------------------------------------------------------------------------------


def _panels(example: Example, *names: str) -> list[Panel]:
    found: list[Panel] = []
    for name in names:
        value = example.results[name, ()]
        found += panels_of(shown(name, value), value, example)
    return found


def _inputs(window: Windowed, example: Example) -> list[Panel]:
    """The arrays that the window's equation reads, where they are given or learnt; else what they are read from."""
    read = dict.fromkeys([window.array, *window.weights, *_plain(window)])
    return _panels(example, *(name for name in read if (name, ()) in example.results))


def _plain(window: Windowed) -> list[str]:
    value = window.equation.value
    choice = value.choice.name if isinstance(value, ast.Maximum) and value.choice is not None else ""
    return [node.name for node in ast.walk(value) if isinstance(node, Access) and node.name != choice]


def _blank(name: str, example: Example, lead: str = "→") -> list[Panel]:
    value = example.results[name, ()]
    return panels_of(shown(name, value), value, example, lead, blank=True)


def _filled(name: str, value: Any, example: Example) -> Grid:
    title = formula(Access(name), example.derivation.names)
    return Grid(tuple(panels_of(shown(name, value), value, example)), ("The table of ", title, "."))


def _setting(window: Windowed, derivation: Derivation, example: Example) -> Inlines:
    """The sizes other than usual that a window moves by."""
    usual = dict(derivation.system.defaults)
    names = [
        name
        for axis in window.axes
        for name in sorted(axis.strides | axis.margins)
        if name in example.sizes and example.sizes[name] != usual.get(name)
    ]
    pieces = [(row(plain_name(name), "=", example.sizes[name]),) for name in dict.fromkeys(names)]
    return ("with ", *listed(pieces), ", as in the worked example") if pieces else ("as in the worked example",)


def _table(derivation: Derivation, window: Windowed, example: Example) -> Iterator[Exercise]:
    target = window.equation.target.name
    of = formula(Access(target), derivation.names)
    panels = (*_inputs(window, example), *_blank(target, example))
    yield Exercise(
        (
            Paragraph(("Fill in the table of ", of, ", ", *_setting(window, derivation, example), ":")),
            Grid(panels, ("Other numbers, and the table to fill in.",), id="exercise-table-grid"),
        ),
        (_filled(target, example.results[target, ()], example),),
        2,
        "exercise-table",
    )


def _readers(window: Windowed, example: Example) -> Iterator[Exercise]:
    """Which outputs read one entry of the input, with the place in the window."""
    computed = Computed(example, window.equation)
    read: Read = read_by(computed, window)
    counts: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    shape = np.shape(example.results[window.array, ()])
    for entry, found in read:
        for term in found:
            place = term.reads[window.array]
            if term.is_open and all(0 <= at < n for at, n in zip(place, shape, strict=True)):
                counts.setdefault(place, []).append(entry)
    if not counts:
        return
    place = max(sorted(counts), key=lambda at: len(dict.fromkeys(counts[at])))
    names = example.derivation.names
    input_layout = shown(window.array, example.results[window.array, ()])
    readers = [(formula(computed.array.entry(entry), names),) for entry in dict.fromkeys(counts[place])]
    of = formula(input_layout.entry(place), names)
    words: Inlines = (
        ("It is read by ", *listed(readers), ".") if len(readers) > 1 else ("Only ", *readers[0], " reads it.")
    )
    unread = [at for at in input_layout.entries() if at not in counts]
    nobody: tuple[Inline, ...] = ()
    if unread:
        listed_ = listed([(formula(input_layout.entry(at), names),) for at in unread[:6]])
        nobody = (" No output reads ", *listed_, " …" if len(unread) > 6 else "", ": the gradient is zero there.")
    yield Exercise(
        (
            Paragraph((
                "In the worked example, which entries of ", computed.title, " read ", of,
                "? Is there an entry that none of them reads?",
            )),
        ),
        (Paragraph((*words, *(nobody or (" Every entry is read by at least one.",)))),),
        2,
        "exercise-readers",
    )  # fmt: skip


def _gradient(window: Windowed, example: Example) -> Iterator[Exercise]:
    """What flows back for other numbers and another gradient at the output."""
    derivation, target = example.derivation, window.equation.target.name
    arriving = derivation.walk.names.get(target)
    gradient = derivation.walk.names.get(window.array) or getattr(derivation.gradients.get(window.array), "name", None)
    if arriving is None or gradient is None:
        return
    changed_ = _with_gradient(example, arriving, _small(np.shape(example.results[arriving, ()])))
    names = derivation.names
    at = formula(Access(target), names)
    asked = [gradient, *(derivation.gradients[name].name for name in window.weights if name in derivation.gradients)]
    listed_ = listed([(formula(Access(name), names),) for name in asked])
    given = _panels(changed_, arriving)
    blank = [one for name in asked for one in _blank(name, changed_, "→" if name == gradient else "")]
    yield Exercise(
        (
            Paragraph((
                "Take the numbers of the exercise on the table of ", at, ", and let the gradient shown here arrive. "
                "Fill in ", *listed_, ":",
            )),
            Grid((*given, *blank), ("What arrives, and the tables to fill in.",), id="exercise-gradient-grid"),
        ),
        tuple(_filled(name, changed_.results[name, ()], changed_) for name in asked),
        3,
        "exercise-gradient",
    )  # fmt: skip


def _small(shape: tuple[int, ...]) -> Any:
    """1, 2, −1, 0, … in reading order."""
    return exact.array(np.resize(np.array([1, 2, -1, 0, 3]), shape))


def _with_gradient(example: Example, arriving: str, value: Any, values: dict[str, Any] | None = None) -> Example:
    """The example where another gradient arrives, or with other inputs."""
    derivation = example.derivation
    inputs = values or example.values
    given = {key: exact.array(one) for key, one in inputs.items()}
    results = run(
        derivation.program, example.sizes, given, functions=bindings(derivation.forward), numbers=exact,
        fixed={(arriving, ()): value},
    )  # fmt: skip
    return replace(example, results=results, values=inputs)


def _wrong(window: Windowed, example: Example) -> Iterator[Exercise]:
    """One cell of a table is wrong."""
    computed = Computed(example, window.equation)
    entries = list(computed.array.entries())
    entry = entries[len(entries) // 2]
    right = computed.value[entry]
    panels = panels_of(computed.array, computed.value, example, "→")
    place = computed.array.place(entry)
    if place[0] >= len(panels):
        return
    shown_ = changed(panels, {place: written(right + WRONG)})
    yield Exercise(
        (
            Paragraph(("One cell of the last table is wrong. Find it and say what should stand there:",)),
            Grid((*_inputs(window, example), *shown_), ("A table with one wrong cell.",), id="exercise-wrong-grid"),
        ),
        (
            Paragraph((
                formula(computed.array.entry(entry), example.derivation.names),
                f" = {equated(*sides(computed, entry))}, not {written(right + WRONG)}.",
            )),
        ),
        2,
        "exercise-wrong",
    )  # fmt: skip


# The matrix, parameters, ties -----------------------------------------------------------------------------------------


def _matrix(derivation: Derivation, window: Windowed) -> Iterator[Exercise]:
    """The matrix for stride 2, and which of its columns are zero."""
    moved = {name for axis in window.axes for name in axis.strides - axis.extents}
    sizes = matrix_sizes(derivation, window, strides=2)
    if sizes is None or not moved or window.has_maximum:
        return
    target, array = window.equation.target.name, window.array
    try:
        found = derivation.linear_map(target, array, sizes)
    except DerivationError:
        return
    if len(found.columns) > MOST_COLUMNS:
        return
    names = derivation.names
    of, wrt = (formula(Access(name), names) for name in (target, array))
    told = [name for name in sizes if name in moved or name in _lengths(derivation, window)]
    pieces = [(row(plain_name(name), "=", sizes[name]),) for name in told]
    yield Exercise(
        (
            Paragraph((
                "Write down the matrix that takes ", wrt, " to ", of, " for ", *listed(pieces),
                " and everything else as in the section on the matrix. What has changed against stride 1?",
            )),
        ),
        (
            matrix_grid(found, derivation, ("The matrix for a larger stride.",)),
            Paragraph(("From one row to the next the entries move by the stride; the transpose is the way back.",)),
        ),
        2,
        "exercise-matrix",
    )  # fmt: skip


def _lengths(derivation: Derivation, window: Windowed) -> set[str]:
    shape = derivation.forward.declaration(window.array).shape
    inputs = {str(s) for axis in window.axes for s in shape[axis.place].free_symbols}
    return inputs | {name for axis in window.axes for name in axis.extents}


def _ties(window: Windowed, example: Example) -> Iterator[Exercise]:
    """What flows back where all entries are equal."""
    derivation, target = example.derivation, window.equation.target.name
    arriving = derivation.walk.names.get(target)
    gradient = getattr(derivation.gradients.get(window.array), "name", None)
    if not window.has_maximum or arriving is None or gradient is None or window.array not in example.values:
        return
    same = {**example.values, window.array: np.full(np.shape(example.values[window.array]), 4.0)}
    ones = exact.ones(np.shape(example.results[arriving, ()]))
    tied = _with_gradient(example, arriving, ones, same)
    names = derivation.names
    of: Formula = formula(Access(gradient), names)
    yield Exercise(
        (
            Paragraph((
                "All entries of ", formula(Access(window.array), names), " are equal, and the gradient 1 arrives at ",
                "every entry of ", formula(Access(target), names), ". Fill in ", of, " under the rule for ties above:",
            )),
            Grid(tuple(_blank(gradient, tied, "")), ("The table to fill in.",), id="exercise-ties-grid"),
        ),
        (
            _filled(gradient, tied.results[gradient, ()], tied),
            Paragraph(("Its entries add up to ", number_formula(tied.results[gradient, ()].sum()), ".")),
        ),
        2,
        "exercise-ties",
    )  # fmt: skip
