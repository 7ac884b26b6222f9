"""Running a program of equations: every value is made on demand, at most once, and never in place.

An array given entry by entry is made at once, over the whole grid of its indices; only where an entry is made from
others of the same array, as in a recursion, is it made one entry after another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from derive.evaluate.elementwise import Array, scalar
from derive.evaluate.expressions import Position, Scope, entry, shapes_in, value, written
from derive.evaluate.integers import EvaluationError, integer
from derive.evaluate.points import Points, everywhere, integer_at, put
from derive.evaluate.positions import (
    Results,
    access_of,
    at,
    choices,
    free_ranges,
    input_shape,
    inputs,
    matched,
    steps_of,
)
from derive.evaluate.sizes import completed
from derive.language.expression import Expression
from derive.language.system import Declaration, Equation, Program, Shape

Key = tuple[str, Position, Position]
"""A name, its superscripts and, in index form, the subscripts of one entry."""


class _NotYetMade(Exception):
    def __init__(self, key: Key) -> None:
        self.key = key


@dataclass(frozen=True)
class _Session:
    """One run: the program, what it is run at, and every value known so far."""

    program: Program
    declarations: Mapping[str, Declaration]
    shape: Callable[[Expression], Shape]
    integers: Mapping[str, int]
    functions: Mapping[str, str]
    numbers: Any
    known: dict[Key, Array] = field(default_factory=dict)
    by_entry: set[str] = field(default_factory=set)
    """Arrays that are made one entry after another."""

    def is_entrywise(self, name: str) -> bool:
        """Its equations give single entries."""
        return any(item.target.name == name and item.target.subscripts for item in self.program.equations)


def run(
    program: Program,
    sizes: Mapping[str, int],
    values: Mapping[str, Array],
    *,
    functions: Mapping[str, str] | None = None,
    numbers: Any = np,
    fixed: Mapping[tuple[str, Position], Array] | None = None,
) -> Results:
    """Every value of ``program`` at these sizes and inputs, by name and superscripts.

    ``values`` holds an array for each input: superscripts lead, position 0 being the lower end of their range. A start
    ``h^0`` may be given instead of its default. ``functions`` binds opaque functions to rows of FUNCTIONS and prevails
    over the program's bindings. ``fixed`` gives single values, ``{("h", (2,)): changed}``, in place of their equations,
    so that what follows from a change can be seen.
    """
    missing = [symbol.name for symbol in program.independent if symbol.name not in sizes]
    if missing:
        raise EvaluationError(f"no value for the size {', '.join(missing)}")
    sizes = completed(program, sizes)
    session = _Session(
        program,
        {item.name: item for item in program.declarations},
        shapes_in({item.name: item.shape for item in program.declarations}),
        dict(sizes),
        {**dict(program.functions), **(functions or {})},
        numbers,
    )
    _take(session, values)
    session.known.update({(*place, ()): array for place, array in (fixed or {}).items()})
    targets = [(start.access, ()) for start in program.starts]
    targets += [(equation.target, equation.ranges) for equation in program.equations]
    for access, ranges in targets:
        for bound in choices(free_ranges(program, access, sizes, ranges), sizes):
            _make(session, (access.name, at(access.superscripts, bound), ()))
    return {
        (name, superscripts): array for (name, superscripts, entries), array in session.known.items() if not entries
    }


def scope_at(
    program: Program,
    results: Results,
    sizes: Mapping[str, int],
    functions: Mapping[str, str] | None = None,
    numbers: Any = np,
) -> Scope:
    """The scope in which expressions over the arrays of ``program`` are worth what ``run`` has found."""
    declarations = {item.name: item for item in program.declarations}
    shape = shapes_in({item.name: item.shape for item in program.declarations})
    session = _Session(
        program, declarations, shape, dict(sizes), {**dict(program.functions), **(functions or {})}, numbers
    )
    session.known.update({(*place, ()): array for place, array in results.items()})

    def read(*key: Any) -> Array:
        try:
            return _read(session, *key)
        except _NotYetMade as needed:
            return _outside(session, needed.key)

    return Scope(read, shape, session.integers, session.functions, numbers)


def _is_declared(session: _Session, name: str, superscripts: Position) -> bool:
    ranges = session.declarations[name].superscripts
    return all(place in steps_of(item, session.integers) for item, place in zip(ranges, superscripts, strict=True))


# Values ---------------------------------------------------------------------------------------------------------------


def _take(session: _Session, values: Mapping[str, Array]) -> None:
    """Put the caller's arrays among what is known, one for each superscript."""
    program, sizes = session.program, session.integers
    for key in inputs(program):
        if key not in values:
            raise EvaluationError(f"no value for {key}, an array of shape {input_shape(program, key, sizes)}")
    keys = {*session.declarations, *(start.key for start in program.starts)}
    for key, array in values.items():
        if key not in keys:
            raise EvaluationError(f"the program has no array {key}; it has {', '.join(sorted(keys))}")
        shape, found = input_shape(program, key, sizes), tuple(getattr(array, "shape", ()))
        if found != shape:
            raise EvaluationError(f"{key} must have shape {shape}, got {found}")
        access = access_of(program, key)
        free = free_ranges(program, access, sizes)
        for bound in choices(free, sizes):
            place = tuple(bound[item.index.name] - integer(item.lower, sizes) for item in free)
            session.known[access.name, at(access.superscripts, bound), ()] = array[place] if place else array


def _make(session: _Session, key: Key) -> None:
    """Make ``key`` known, first whatever it needs, on a stack of our own: the number of time steps is not limited."""
    pending: dict[Key, None] = {} if key in session.known else {key: None}
    while pending:
        wanted = next(reversed(pending))
        try:
            session.known[wanted] = _made(session, wanted)
        except _NotYetMade as needed:
            if needed.key in pending:
                circle = [name for name, _, _ in list(pending)[list(pending).index(needed.key) :]]
                found = {name for name in circle if session.is_entrywise(name)} - session.by_entry
                if found:  # they may still be made entry by entry
                    session.by_entry.update(found)
                    continue
                raise EvaluationError(f"{written(*needed.key)} is defined by itself") from None
            pending[needed.key] = None
        else:
            del pending[wanted]


def _made(session: _Session, key: Key) -> Array:
    """The value of ``key`` from its start or its equation; _NotYetMade where that needs a value that is not known."""
    name, superscripts, subscripts = key
    for start in session.program.starts:
        if start.access.name == name and start.value is not None and not subscripts:
            bound = matched(start.access.superscripts, superscripts, (), session.integers)
            if bound is not None:
                return _evaluated(session, start.value, bound, key)
    for equation in session.program.equations:
        target = equation.target
        if target.name == name and len(target.subscripts) == len(subscripts):
            patterns = target.superscripts + target.subscripts
            bound = matched(patterns, superscripts + subscripts, equation.ranges, session.integers)
            if bound is not None:
                return _evaluated(session, equation.value, bound, key)
    if not subscripts and session.is_entrywise(name) and _is_declared(session, name, superscripts):
        make = _entry_by_entry if name in session.by_entry else _on_grid
        return make(session, name, superscripts)
    return _outside(session, key)


def _outside(session: _Session, key: Key) -> Array:
    """Zero where an array is declared to be zero outside its range, else an error."""
    name, superscripts, _ = key
    if _is_declared(session, name, superscripts) or not session.declarations[name].zero_outside:
        raise EvaluationError(f"nothing defines {written(*key)}")
    shape = _shape(session, key)
    return session.numbers.zeros(shape) if shape else scalar(Fraction(0), session.numbers)


def _entry_by_entry(session: _Session, name: str, superscripts: Position) -> Array:
    shape = _shape(session, (name, superscripts, ()))
    for place in product(*map(range, shape)):
        if (name, superscripts, place) not in session.known:
            session.known[name, superscripts, place] = _made(session, (name, superscripts, place))
    entries = [session.known[name, superscripts, place] for place in product(*map(range, shape))]
    return session.numbers.reshape(session.numbers.stack(entries), shape)


def _on_grid(session: _Session, name: str, superscripts: Position) -> Array:
    """Each equation for single entries at all its points; where two give one entry, the first counts."""
    shape, numbers = _shape(session, (name, superscripts, ())), session.numbers
    origin = np.full(shape, -1).ravel()
    found: list[Array] = []
    made = 0
    for equation in session.program.equations:
        if equation.target.name != name or not equation.target.subscripts:
            continue
        if session.shape(equation.value):
            raise EvaluationError(f"{written(name, superscripts)} needs a number for each entry, not an array")
        points = _points(session, equation, superscripts)
        target = [np.broadcast_to(integer_at(s, points), points.count) for s in equation.target.subscripts]
        inside = np.ones(points.count, dtype=bool)
        for places, extent in zip(target, shape, strict=True):
            inside &= (places >= 0) & (places < extent)
        rows = np.flatnonzero(inside)
        flat = np.ravel_multi_index(tuple(places[rows] for places in target), shape)
        _, first = np.unique(flat, return_index=True)
        kept = np.sort(first[origin[flat[first]] < 0])
        rows, flat = rows[kept], flat[kept]
        origin[flat] = made + np.arange(len(rows))
        made += len(rows)
        scope = _scope(session, points.part(rows).integers, len(rows))
        found.append(everywhere(value(equation.value, scope), len(rows), numbers))
    if missing := np.flatnonzero(origin < 0).tolist():
        return _outside(session, (name, superscripts, tuple(map(int, np.unravel_index(missing[0], shape)))))
    entries = found[0] if len(found) == 1 else numbers.concatenate(found, 0)
    if np.any(origin != np.arange(len(origin))):
        entries = entries[origin]
    return numbers.reshape(entries, shape)


def _points(session: _Session, equation: Equation, superscripts: Position) -> Points:
    """The points of an equation for single entries at these superscripts."""
    above = {str(symbol) for pattern in equation.target.superscripts for symbol in pattern.free_symbols}
    in_time = tuple(item for item in equation.ranges if item.index.name in above)
    bound = matched(equation.target.superscripts, superscripts, in_time, session.integers)
    if bound is None:
        return Points(session.integers, 0).over(equation.ranges)[0]
    return Points(bound, 1).over([item for item in equation.ranges if item not in in_time])[0]


def _scope(session: _Session, integers: Mapping[str, Any], count: int | None = None) -> Scope:
    def read(name: str, superscripts: Position, subscripts: tuple[Any, ...]) -> Array:
        return _read(session, name, superscripts, subscripts)

    return Scope(read, session.shape, integers, session.functions, session.numbers, count)


def _evaluated(session: _Session, expression: Expression, bound: Mapping[str, int], key: Key) -> Array:
    scope = _scope(session, bound)
    array, shape = value(expression, scope), _shape(session, key)
    if shape and not session.shape(expression):
        return array * session.numbers.ones(shape)
    found = tuple(getattr(array, "shape", ()))
    if found != shape:
        raise EvaluationError(f"{written(*key)} has shape {shape}, but its equation gives shape {found}")
    return array


def _read(session: _Session, name: str, superscripts: Position, subscripts: tuple[Any, ...]) -> Array:
    if name not in session.declarations:
        raise EvaluationError(f"{name} is not declared")
    inside = True
    for places, extent in zip(subscripts, _shape(session, (name, (), ())) if subscripts else (), strict=True):
        inside = inside & (places >= 0) & (places < extent)
    if not np.all(inside) and session.declarations[name].zero_outside:
        if not np.any(inside):
            return scalar(Fraction(0), session.numbers)
        rows = np.flatnonzero(inside)
        found = _read(session, name, superscripts, tuple(places[rows] for places in subscripts))
        return put(found, rows, np.size(inside), session.numbers)
    if (name, superscripts, ()) in session.known:
        return entry(session.known[name, superscripts, ()], subscripts, name)
    started = any(item.access.name == name for item in session.program.starts)
    if name not in session.by_entry or started or not subscripts or not np.all(inside):
        raise _NotYetMade((name, superscripts, ()))
    if not any(isinstance(place, np.ndarray) for place in subscripts):
        return _single(session, (name, superscripts, subscripts))
    entries = [
        _single(session, (name, superscripts, place)) for place in zip(*map(np.ndarray.tolist, subscripts), strict=True)
    ]
    return session.numbers.stack(entries)


def _single(session: _Session, key: Key) -> Array:
    if key not in session.known:
        raise _NotYetMade(key)
    return session.known[key]


def _shape(session: _Session, key: Key) -> Position:
    return () if key[2] else at(session.declarations[key[0]].shape, session.integers)
