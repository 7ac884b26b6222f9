"""The sizes and the inputs of a worked example: small enough to follow by hand, large enough to show what matters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import sympy as sp

from derive.derivation import Derivation
from derive.evaluate import completed, draw_sizes, fits, input_shape, inputs
from derive.language import expression as ast
from derive.language.expression import Access, Integer
from derive.language.system import Program
from derive.lesson.windows import WindowAxis, Windowed, windowed
from derive.lesson.words import time_sizes

STEPS, EXTENT = 3, 2
"""Time steps and every other size."""
ALONG, ACROSS = 3, 2
"""How many outputs a window has along its last axis if it has one axis, and along each of several."""
MORE = 12
"""How many more entries an input may get so that every size that follows is large enough."""
AXES = 2
"""Axes of an array that are longer than 1, where it is read through a window: what fits into one grid."""


def is_by_entry(derivation: Derivation) -> bool:
    """Whether an equation of the model defines its array entry by entry, so that matrices do not say it."""
    return any(equation.target.subscripts for equation in derivation.forward.equations)


def sample_sizes(derivation: Derivation, seed: int) -> dict[str, int]:
    """Three steps and two of everything else, or what is usual; windows overlap, move by 2 and begin outside."""
    program = derivation.forward
    windows = windowed(program)
    in_time = time_sizes(program)
    usual = {name: value for name, value in derivation.system.defaults if value <= EXTENT}
    chosen = _by_windows(program, windows, usual)
    sizes = {
        symbol.name: chosen.get(symbol.name, usual.get(symbol.name, STEPS if symbol.name in in_time else EXTENT))
        for symbol in program.independent
    }
    sizes = _flat(program, windows, sizes, chosen)
    wanted = ALONG if windows and max(len(one.axes) for one in windows) == 1 else ACROSS
    learnt = {name for item in program.declarations if item.role == "learn" for name in _names(item.shape)}
    only_given = {name for item in program.declarations for name in _names(item.shape)} & sizes.keys()
    only_given -= learnt | chosen.keys()
    if windows:
        only_given &= {n for one in windows for axis in one.axes for n in _names([_extent(program, one, axis)])}
    for more in range(MORE):
        larger = {name: extent + more * (name in only_given) for name, extent in sizes.items()}
        if _has_outputs(program, larger, wanted):
            return completed(program, _smaller(program, larger, only_given, wanted) if windows else larger)
    return completed(program, sizes) if fits(program, sizes) else draw_sizes(program, seed)


def _by_windows(program: Program, windows: list[Windowed], usual: Mapping[str, int]) -> dict[str, int]:
    """The window moves by 2 along its last axis, where it is 3 long, and begins one before the input."""
    free = {symbol.name for symbol in program.independent}
    extents = {name for window in windows for axis in window.axes for name in axis.extents}
    chosen: dict[str, int] = {}
    for window in windows:
        for axis in window.axes:
            moved = axis == window.axes[-1] and axis.strides and not axis.strides & extents
            chosen |= {name: 2 for name in axis.strides - extents if moved}
            chosen |= dict.fromkeys(axis.extents - usual.keys(), 3 if moved else EXTENT)
            chosen |= dict.fromkeys(axis.margins & usual.keys(), 1)
    return {name: value for name, value in chosen.items() if name in free}


def _flat(
    program: Program, windows: list[Windowed], sizes: dict[str, int], chosen: Mapping[str, int]
) -> dict[str, int]:
    """Plain axes of length 1 until what is read through a window, its weights and what is written are grids."""
    flat = dict(sizes)
    for window in windows:
        for name in (window.array, window.equation.target.name, *window.weights):
            shape = program.declaration(name).shape
            positions = _positions(window, name)
            long = [place for place, extent in enumerate(shape) if _length(program, extent, flat) > 1]
            for place in list(long):
                plain = place not in positions and _names([shape[place]]) <= flat.keys() - chosen.keys()
                if len(long) > AXES and plain:
                    flat |= dict.fromkeys(_names([shape[place]]), 1)
                    long.remove(place)
    return flat


def _extent(program: Program, window: Windowed, axis: WindowAxis) -> Integer:
    return program.declaration(window.array).shape[axis.place]


def _positions(window: Windowed, name: str) -> set[int]:
    """The axes of an array along which the window moves or runs."""
    if name == window.array:
        return {axis.place for axis in window.axes}
    along = {axis.moves for axis in window.axes} | {axis.runs.index for axis in window.axes}
    nodes = [window.equation.target, *(n for n in ast.walk(window.equation.value) if isinstance(n, Access))]
    return {
        place
        for node in nodes
        if node.name == name
        for place, position in enumerate(node.subscripts)
        if along & position.free_symbols
    }


def _length(program: Program, extent: Integer, sizes: Mapping[str, int]) -> int:
    """The length of an axis; one that follows from others counts as long."""
    known = {symbol: sp.Integer(sizes[str(symbol)]) for symbol in extent.free_symbols if str(symbol) in sizes}
    value = extent.xreplace(known)
    return int(value) if value.is_Integer else EXTENT  # type: ignore[arg-type]


def _has_outputs(program: Program, sizes: dict[str, int], wanted: int) -> bool:
    if not fits(program, sizes):
        return False
    found = completed(program, sizes)
    along = {symbol.name for symbol, _ in program.derived}
    windows = {
        name for one in windowed(program) for name in _names(program.declaration(one.equation.target.name).shape)
    }
    return all(found[name] >= (wanted if name in windows else EXTENT) for name in along)


def _smaller(program: Program, sizes: dict[str, int], only_given: set[str], wanted: int) -> dict[str, int]:
    """Each input as short as it may be for the others to stay, but not shorter than three."""
    for name in sorted(only_given):
        while sizes[name] > 3 and _has_outputs(program, {**sizes, name: sizes[name] - 1}, wanted):
            sizes = {**sizes, name: sizes[name] - 1}
    return sizes


def _names(values: Iterable[Integer]) -> set[str]:
    return {str(symbol) for value in values for symbol in value.free_symbols}


# Inputs ---------------------------------------------------------------------------------------------------------------


def sample_inputs(derivation: Derivation, sizes: Mapping[str, int], seed: int) -> dict[str, Any]:
    """Multiples of 0.5, or whole numbers where equations are by entry; never 0 in a parameter; one-hot labels."""
    rng = np.random.default_rng(seed)
    program = derivation.forward
    labels = _labels(program)
    compared = {name for equation in program.equations for name in _compared(equation.value)}
    values: dict[str, Any] = {}
    for key in inputs(program):
        shape = input_shape(program, key, sizes)
        if key in labels and shape:
            values[key] = np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])]
            continue
        learnt = program.declaration(key.partition("^")[0]).role == "learn"
        choices = _choices(learnt, key in compared, is_by_entry(derivation))
        values[key] = rng.choice(choices, size=shape) if shape else np.float64(rng.choice(choices))
        while learnt and len(shape) == 2 and shape[0] == shape[1] > 1 and np.array_equal(values[key], values[key].T):
            values[key] = rng.choice(choices, size=shape)
    return values


def _choices(learnt: bool, compared: bool, whole: bool) -> Any:
    """What the entries of an input are drawn from."""
    if not whole:
        return np.array([-1.0, -0.5, 0.5, 1.0]) if learnt else np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    if compared:
        return np.arange(10.0)
    return np.array([-2.0, -1.0, 1.0, 2.0, 3.0]) if learnt else np.array([-1.0, 0.0, 1.0, 2.0, 3.0])


def _compared(value: ast.Expression) -> Iterator[str]:
    """The arrays whose entries a maximum compares as they are."""
    for node in ast.walk(value):
        if isinstance(node, ast.Maximum):
            yield from (inner.name for inner in ast.walk(node.body) if isinstance(inner, Access))


def _labels(program: Program) -> set[str]:
    """The arrays that a cross-entropy takes as a distribution."""
    targets = {
        node.arguments[0].name
        for equation in program.equations
        for node in ast.walk(equation.value)
        if isinstance(node, ast.Call) and node.function == "logsumexp" and isinstance(node.arguments[0], Access)
    }
    return {
        access.name
        for equation in program.equations
        for node in ast.walk(equation.value)
        if isinstance(node, ast.Inner)
        for access in (node.left, node.right)
        if isinstance(access, Access) and targets & {n.name for n in (node.left, node.right) if isinstance(n, Access)}
    } - targets
