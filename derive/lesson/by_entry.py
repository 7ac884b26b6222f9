"""The worked example of equations by entry: grids of numbers, each window and its arithmetic, tables of gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from derive.calculus.order import forward_order
from derive.derivation import Derivation
from derive.evaluate import integer
from derive.evaluate.positions import choices
from derive.handout.blocks import Block, Display, Heading, Inlines, Paragraph, Table
from derive.handout.formula import Words, row
from derive.handout.grids import Panel
from derive.language import expression as ast
from derive.language.expression import Access
from derive.language.system import Equation
from derive.lesson.computed import Computed, equated, sides
from derive.lesson.example import Example
from derive.lesson.tables import grids, number_formula, panels_of, shown
from derive.lesson.window_pictures import window_frames
from derive.lesson.windows import window_of
from derive.notation import equation_formula
from derive.worked.numerals import is_rounded

MOST_LINES = 12
"""Entries of one array whose arithmetic is written out."""
STEPS_SHOWN = 3
"""Time steps whose results are shown."""


# The sections ---------------------------------------------------------------------------------------------------------


def worked_by_entry(example: Example) -> list[Block]:
    """The example as blocks: what is given, forwards, backwards."""
    return [*_given(example), *_forwards(example), *_backwards(example)]


def _given(example: Example) -> list[Block]:
    program = example.derivation.forward
    panels = [
        one
        for item in program.declarations
        if item.role != "defined"
        for name, at in sorted(example.results)
        if name == item.name
        for one in panels_of(shown(name, example.results[name, at], at), example.results[name, at], example)
    ]
    return grids(panels, ("What is given, and what is learnt.",), id="given-numbers")


def _forwards(example: Example) -> Iterator[Block]:
    program = example.derivation.forward
    hidden = {item.name for item in program.declarations if item.choice}
    order = {name: place for place, name in enumerate(forward_order(program))}
    equations = sorted(program.equations, key=lambda one: order[one.target.name])
    yield Heading("Forward", 2)
    for equation in equations:
        if equation.target.name not in hidden:
            yield from _shown(equation, example)


def _backwards(example: Example) -> Iterator[Block]:
    derivation = example.derivation
    forward = {item.name for item in derivation.forward.declarations}
    yield Heading("Backward", 2)
    for equation in derivation.program.equations:
        if equation.target.name not in forward and not _is_plain_input(equation, derivation):
            yield from _shown(equation, example)
    panels = [
        one
        for name, at in derivation.gradients.items()
        for place in [next((place for key, place in sorted(example.results) if key == at.name), None)]
        if place is not None
        for one in panels_of(
            shown(at.name, example.results[at.name, place], place), example.results[at.name, place], example
        )
    ]
    yield from grids(panels, ("All gradients.",), id="gradient-numbers")


def _is_plain_input(equation: Equation, derivation: Derivation) -> bool:
    """The gradient by a given array to which nothing flows but by the loss itself, such as a target."""
    keys = {access.name: key for key, access in derivation.gradients.items()}
    key = keys.get(equation.target.name, "").partition("^")[0]
    if not key or derivation.forward.declaration(key).role != "given":
        return False
    adjoints = set(derivation.walk.names.values())
    return not any(isinstance(n, Access) and n.name in adjoints for n in ast.walk(equation.value))


def _shown(equation: Equation, example: Example) -> Iterator[Block]:
    """An equation with its numbers: its windows one by one, a line for each entry, or the arrays it reads and makes."""
    window = window_of(equation, example.derivation.program)
    has_sum = any(isinstance(node, ast.Sum | ast.Maximum) for node in ast.walk(equation.value))
    for number, at in enumerate(_superscripts(equation, example)[:STEPS_SHOWN]):
        computed = Computed(example, equation, at)
        if not computed.array.long and not has_sum:
            yield from _scalar(computed)
        elif window is not None and not computed.is_backward and number == 0:
            yield from _equation(computed)
            yield from window_frames(computed, window)
        elif has_sum and equation.target.subscripts and number == 0:
            yield from _lines(computed)
        else:
            yield from _arrays(computed)


def _superscripts(equation: Equation, example: Example) -> list[tuple[int, ...]]:
    above = equation.target.superscripts
    spans = [span for span in equation.ranges if any(span.index in place.free_symbols for place in above)]
    return [tuple(integer(place, at) for place in above) for at in choices(spans, example.sizes)]


def _equation(computed: Computed) -> Iterator[Block]:
    """The equation at the sizes of the example."""
    yield Display(equation_formula(computed.numeric, computed.derivation.names))


# Lines and arrays -----------------------------------------------------------------------------------------------------


def _lines(computed: Computed) -> Iterator[Block]:
    """The equation, and a table with a line of arithmetic for each entry."""
    array = computed.array
    entries = list(array.entries())
    received = [entry for entry in entries if computed.line(entry) != "0"] if computed.is_backward else entries
    yield from _equation(computed)
    if len(entries) == 1:
        yield Display(row(computed.title, "=", Words(equated(*sides(computed, entries[0])))))
        return
    if not received:
        yield Paragraph(("All entries of ", computed.title, " are 0."))
        return
    rows: list[tuple[Inlines, ...]] = []
    for entry in received[:MOST_LINES]:
        text, value, sign = sides(computed, entry)
        place = ", ".join(str(entry[axis]) for axis in array.long)
        rows.append(((place,), (text if text != value else "",), (f"{sign} {value}",)))
    left_out = f", the first {MOST_LINES} of {len(received)}" if len(received) > MOST_LINES else ""
    left_out += "; the others are 0" if len(received) < len(entries) else ""
    caption: Inlines = ("The entries of ", computed.title, f"{left_out}.")
    yield Table((("Entry",), ("Its terms",), ("Value",)), tuple(rows), caption, f"entries-{array.name}", "lll")


def _scalar(computed: Computed) -> Iterator[Block]:
    """An equation for one number, and the number."""
    number = np.asarray(computed.value, dtype=object).ravel()[0]
    sign = "approx" if is_rounded(number) else "="
    yield Display(row(equation_formula(computed.numeric, computed.derivation.names), sign, number_formula(number)))


def _arrays(computed: Computed) -> Iterator[Block]:
    """The equation, the arrays that it reads, and the one that it makes."""
    example, results = computed.example, computed.example.results
    read = dict.fromkeys(n.name for n in ast.walk(computed.equation.value) if isinstance(n, Access))
    panels: list[Panel] = []
    for name in read:
        at = computed.superscripts if (name, computed.superscripts) in results else ()
        if (name, at) in results:
            panels += panels_of(shown(name, results[name, at], at), results[name, at], example)
    panels += panels_of(computed.array, computed.value, example, "→")
    yield from _equation(computed)
    yield from grids(
        panels,
        (computed.title, " and what it is made of."),
        id="-".join(map(str, ("numbers", computed.name, *computed.superscripts))),
    )
