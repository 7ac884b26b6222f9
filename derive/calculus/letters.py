"""The letters of a gradient's axes: those by which the author reads the array, and fresh ones for affine positions.

``w[k, c, a]`` has the gradient ``∂ℓ/∂w[k, c, a]``; ``x[c, s*i + d*a - p]`` has ``∂ℓ/∂x[c, m]``; an axis that is read in
digits, ``y[g*K + k, i]``, keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import sympy as sp

from derive.calculus.symbols import coefficient_of, symbols_in
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, index
from derive.language.system import Program, Range, Scope

LETTERS = "ijklmnop"
"""For axes that no equation speaks of by an index."""
FRESH = "mnruvhlgzqjkiseoabcdft"
"""For positions made of several indices; m and n first."""


@dataclass(frozen=True)
class Axis:
    """One axis of an array in a gradient: the position written there, and the ranges of the indices in it."""

    position: Integer
    ranges: tuple[Range, ...]


@dataclass(frozen=True)
class _Reading:
    """One access with subscripts, and the ranges of the indices around it."""

    subscripts: tuple[Integer, ...]
    ranges: Mapping[sp.Symbol, Range]


def reserved(scope: Scope, sizes: Iterable[sp.Symbol]) -> frozenset[str]:
    """Names that no index may have: those of sizes and arrays."""
    return frozenset(scope) | {size.name for size in sizes}


def axes_of(name: str, program: Program, scope: Scope, above: Iterable[str] = ()) -> tuple[Axis, ...]:
    """How each axis of the array is written in its gradient; the superscripts ``above`` have their letters already."""
    shape = scope[name].shape
    readings, is_whole, used = _readings(name, program)
    taken = {*reserved(scope, program.sizes), *above}
    letters: list[Axis | None] = []
    for place, extent in enumerate(shape):
        positions = [(reading.subscripts[place], reading.ranges) for reading in readings]
        axis = None
        if positions and all(isinstance(position, sp.Symbol) for position, _ in positions):
            axis = _plain([str(position) for position, _ in positions], extent, taken)
        elif positions and not is_whole:
            axis = _in_digits(positions, extent, taken)
        taken |= {item.index.name for item in axis.ranges} if axis else set()
        letters.append(axis)
    bases: dict[str, str] = {}
    for place, extent in enumerate(shape):
        if letters[place] is None:
            positions = [reading.subscripts[place] for reading in readings]
            letter = _fresh(positions, taken | used, bases) if positions else _default(taken)
            taken.add(letter)
            letters[place] = _axis(letter, extent)
    return tuple(axis for axis in letters if axis is not None)


def plain_axes(shape: Iterable[Integer], above: Iterable[str] = ()) -> tuple[Axis, ...]:
    """Axes called i, j, k …, as far as the superscripts leave them."""
    taken = set(above)
    found: list[Axis] = []
    for extent in shape:
        letter = _default(taken)
        taken.add(letter)
        found.append(_axis(letter, extent))
    return tuple(found)


def _axis(letter: str, extent: Integer) -> Axis:
    return Axis(index(letter), (Range(index(letter), sp.Integer(0), extent - 1),))


def _plain(names: list[str], extent: Integer, taken: set[str]) -> Axis | None:
    return next((_axis(name, extent) for name in names if name not in taken), None)


def _default(taken: set[str]) -> str:
    candidates = (*LETTERS, *FRESH, *(f"i_{number}" for number in range(1, 100)))
    return next(letter for letter in candidates if letter not in taken)


def _fresh(positions: list[Integer], taken: set[str], bases: dict[str, str]) -> str:
    """m, or m_1 where the position is made of the components i_1 and a_1; components of one kind share their letter."""
    names = {symbol.name for position in positions for symbol in symbols_in(position) if not ast.is_size(symbol)}
    tails = {match[0] if (match := re.search(r"_\d+$", name)) else "" for name in names}
    tail = tails.pop() if len(tails) == 1 else ""
    free = [*FRESH, *(f"m{number}" for number in range(1, 100))]
    if tail:
        stems = " ".join(sorted(name.removesuffix(tail) for name in names))
        base = bases.get(stems) or next(c for c in free if not any(name.partition("_")[0] == c for name in taken))
        bases[stems] = base
        if f"{base}{tail}" not in taken:
            return f"{base}{tail}"
    return next(letter for letter in free if letter not in taken)


def _in_digits(
    positions: list[tuple[Integer, Mapping[sp.Symbol, Range]]], extent: Integer, taken: set[str]
) -> Axis | None:
    """The first position, where each of them writes the whole axis in the same digits: ``g K + k`` with k below K."""
    found = [_digits(position, ranges, extent) for position, ranges in positions]
    first = found[0]
    if first is None or any(other is None or other[1] != first[1] for other in found):
        return None
    used, _ = first
    if any(item.index.name in taken for item in used):
        return None
    return Axis(positions[0][0], used[::-1])


def _digits(
    position: Integer, ranges: Mapping[sp.Symbol, Range], extent: Integer
) -> tuple[tuple[Range, ...], tuple[Integer, ...]] | None:
    """The ranges of the digits from the last to the first, and how many values each has; None for other positions."""
    position = sp.expand(position)
    left = [ranges[symbol] for symbol in sorted(symbols_in(position), key=str) if symbol in ranges]
    weight: Integer = sp.Integer(1)
    digits: list[Range] = []
    while left:
        item = next((r for r in left if sp.expand(coefficient_of(r.index, position) - weight) == 0), None)
        if item is None or item.lower != 0:
            return None
        digits.append(item)
        left.remove(item)
        weight = sp.expand(weight * (item.upper + 1))
    whole = sp.Add(*(coefficient_of(item.index, position) * item.index for item in digits))
    if len(digits) < 2 or sp.expand(weight - extent) != 0 or sp.expand(position - whole) != 0:
        return None
    return tuple(digits), tuple(sp.expand(item.upper + 1) for item in digits)


def _readings(name: str, program: Program) -> tuple[list[_Reading], bool, set[str]]:
    """Every access with subscripts, its defining equation's first; whether it is read whole; every index in use."""
    found: list[_Reading] = []
    is_whole = False
    used: set[str] = set()
    statements = [(equation.target, equation.ranges) for equation in program.equations]
    for target, ranges in statements:
        used |= {item.index.name for item in ranges}
        if target.name == name:
            is_whole |= not target.subscripts and bool(found)
            found += [_Reading(target.subscripts, {r.index: r for r in ranges})] if target.subscripts else []
    values = [(equation.value, equation.ranges) for equation in program.equations]
    values += [(start.value, ()) for start in program.starts if start.value is not None]
    for value, ranges in values:
        for node, around in _accesses(value, {item.index: item for item in ranges}):
            if isinstance(node, Access) and node.name == name:
                is_whole |= not node.subscripts
                found += [_Reading(node.subscripts, around)] if node.subscripts else []
            used |= {symbol.name for symbol in around}
    return found, is_whole, used


def _accesses(
    value: Expression, around: Mapping[sp.Symbol, Range]
) -> Iterator[tuple[Expression, Mapping[sp.Symbol, Range]]]:
    yield value, around
    inner = {**around, **{item.index: item for item in _bound_by(value)}}
    for child in ast.children(value):
        yield from _accesses(child, inner)


def _bound_by(value: Expression) -> tuple[Range, ...]:
    """The indices that a node binds."""
    if isinstance(value, ast.Sum | ast.LogSumExp):
        return (Range(value.index, value.lower, value.upper),)
    return getattr(value, "ranges", ())
