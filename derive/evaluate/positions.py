"""Where the values of a program stand: superscripts and their ranges, callers' keys, and whole arrays put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from derive.evaluate.elementwise import Array
from derive.evaluate.expressions import Position
from derive.evaluate.integers import integer
from derive.language.expression import Access, Integer, index
from derive.language.system import Declaration, Program, Range

Results = dict[tuple[str, Position], Array]
"""Every value of a program: the array called name at its superscripts; an array without superscripts has ()."""


def inputs(program: Program) -> tuple[str, ...]:
    """The keys that ``run`` needs: arrays without an equation, then starts without a default."""
    defined = {equation.target.name for equation in program.equations}
    arrays = tuple(item.name for item in program.declarations if item.name not in defined)
    return arrays + tuple(start.key for start in program.starts if start.value is None)


def input_shape(program: Program, key: str, sizes: Mapping[str, int]) -> Position:
    """The shape of the array that a caller gives for ``key``: superscripts lead, then the shape of one value.

    >>> import sympy as sp
    >>> t, T, n = sp.symbols("t T n")
    >>> h = Declaration("h", "given", (n,), (Range(t, sp.Integer(0), T),))
    >>> input_shape(Program((T, n), (h,), (), ()), "h", {"T": 5, "n": 2})
    (6, 2)
    """
    access = access_of(program, key)
    leading = [len(steps_of(item, sizes)) for item in free_ranges(program, access, sizes)]
    return (*leading, *at(program.declaration(access.name).shape, sizes))


def gather(program: Program, results: Results, access: Access, sizes: Mapping[str, int], numbers: Any = np) -> Array:
    """``access`` at the superscripts it fixes; those left as an index run over their range and lead the shape."""
    free = free_ranges(program, access, sizes)
    arrays = [results[access.name, at(access.superscripts, bound)] for bound in choices(free, sizes)]
    shape = (*(len(steps_of(item, sizes)) for item in free), *at(program.declaration(access.name).shape, sizes))
    if not free:
        return arrays[0]
    return numbers.reshape(numbers.stack(arrays), shape) if arrays else numbers.zeros(shape)


def stacked(program: Program, results: Results, name: str, sizes: Mapping[str, int], numbers: Any = np) -> Array:
    """All values of ``name`` over its declared range as one array, superscripts leading."""
    return gather(program, results, _over_its_range(program.declaration(name)), sizes, numbers)


def _over_its_range(declaration: Declaration) -> Access:
    return Access(declaration.name, tuple(item.index for item in declaration.superscripts))


def access_of(program: Program, key: str) -> Access:
    """The array that the caller's ``key`` stands for: ``x`` over all its superscripts, ``h^0`` at its own."""
    starts = {start.key: start.access for start in program.starts}
    return starts[key] if key in starts else _over_its_range(program.declaration(key))


def free_ranges(
    program: Program, access: Access, sizes: Mapping[str, int], ranges: tuple[Range, ...] = ()
) -> list[Range]:
    """The ranges of the indices in the superscripts of ``access``: its equation's, else the declared ones."""
    own = {item.index.name: item for item in ranges}
    found: dict[str, Range] = {}
    for superscript, declared in zip(access.superscripts, program.declaration(access.name).superscripts, strict=True):
        for name in sorted(str(symbol) for symbol in superscript.free_symbols):
            if name not in sizes:
                found.setdefault(name, own.get(name, Range(index(name), declared.lower, declared.upper)))
    return list(found.values())


def steps_of(item: Range, integers: Mapping[str, int]) -> range:
    """The values of the index of a range."""
    return range(integer(item.lower, integers), integer(item.upper, integers) + 1)


def choices(ranges: list[Range], integers: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """``integers`` with every choice of the indices in ``ranges``, the last running fastest."""
    if not ranges:
        yield dict(integers)
        return
    for step in steps_of(ranges[0], integers):
        yield from choices(ranges[1:], {**integers, ranges[0].index.name: step})


def at(expressions: tuple[Integer, ...], integers: Mapping[str, int]) -> Position:
    """The values of integer expressions, one after another."""
    return tuple(integer(expression, integers) for expression in expressions)


def matched(
    patterns: tuple[Integer, ...], places: Position, ranges: tuple[Range, ...], integers: Mapping[str, int]
) -> dict[str, int] | None:
    """The index values in ``ranges`` that turn ``patterns``, affine in their indices, into ``places``, if any."""
    bound = dict(integers)
    shared: list[str] = []
    for pattern, place in zip(patterns, places, strict=True):
        unknown = [str(symbol) for symbol in pattern.free_symbols if str(symbol) not in bound]
        if len(unknown) > 1:  # several indices share an axis, as in y[g*K + k]: they are tried below
            shared += unknown
            continue
        if unknown:
            constant, next_one = (integer(pattern, {**bound, unknown[0]: step}) for step in (0, 1))
            bound[unknown[0]] = (place - constant) // (next_one - constant)
        if integer(pattern, bound) != place:
            return None
    for trial in choices([item for item in ranges if item.index.name in shared], bound):
        if all(integer(pattern, trial) == place for pattern, place in zip(patterns, places, strict=True)):
            return trial if all(trial[item.index.name] in steps_of(item, trial) for item in ranges) else None
    return None
