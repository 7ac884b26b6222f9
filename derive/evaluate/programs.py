"""Running a program of equations: every value is made on demand, at most once, and never in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from derive.evaluate.elementwise import Array
from derive.evaluate.expressions import Position, Scope, entry, shapes_in, value, written
from derive.evaluate.integers import EvaluationError, integer
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
from derive.language.expression import Expression
from derive.language.system import Declaration, Program, Shape

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
    missing = [symbol.name for symbol in program.sizes if symbol.name not in sizes]
    if missing:
        raise EvaluationError(f"no value for the size {', '.join(missing)}")
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
            return _read(session, key)
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
    entrywise = False
    for equation in session.program.equations:
        target = equation.target
        if target.name == name and len(target.subscripts) == len(subscripts):
            patterns = target.superscripts + target.subscripts
            bound = matched(patterns, superscripts + subscripts, equation.ranges, session.integers)
            if bound is not None:
                return _evaluated(session, equation.value, bound, key)
        entrywise = entrywise or (target.name == name and bool(target.subscripts))
    if entrywise and not subscripts and _is_declared(session, name, superscripts):
        return _from_entries(session, name, superscripts)
    return _outside(session, key)


def _outside(session: _Session, key: Key) -> Array:
    """Zero where an array is declared to be zero outside its range, else an error."""
    name, superscripts, _ = key
    if _is_declared(session, name, superscripts) or not session.declarations[name].zero_outside:
        raise EvaluationError(f"nothing defines {written(*key)}")
    return session.numbers.zeros(_shape(session, key)) if _shape(session, key) else 0.0


def _from_entries(session: _Session, name: str, superscripts: Position) -> Array:
    shape = _shape(session, (name, superscripts, ()))
    for place in product(*map(range, shape)):
        if (name, superscripts, place) not in session.known:
            session.known[name, superscripts, place] = _made(session, (name, superscripts, place))
    entries = [session.known[name, superscripts, place] for place in product(*map(range, shape))]
    return session.numbers.reshape(session.numbers.stack(entries), shape)


def _evaluated(session: _Session, expression: Expression, bound: Mapping[str, int], key: Key) -> Array:
    scope = Scope(lambda *wanted: _read(session, wanted), session.shape, bound, session.functions, session.numbers)
    array, shape = value(expression, scope), _shape(session, key)
    if shape and not session.shape(expression):
        return array * session.numbers.ones(shape)
    found = tuple(getattr(array, "shape", ()))
    if found != shape:
        raise EvaluationError(f"{written(*key)} has shape {shape}, but its equation gives shape {found}")
    return array


def _read(session: _Session, key: Key) -> Array:
    name, superscripts, subscripts = key
    if name not in session.declarations:
        raise EvaluationError(f"{name} is not declared")
    outside = len(subscripts) > 0 and any(
        not 0 <= place < extent for place, extent in zip(subscripts, _shape(session, (name, (), ())), strict=True)
    )
    if outside and session.declarations[name].zero_outside:
        return 0.0
    if (name, superscripts, ()) in session.known:
        return entry(session.known[name, superscripts, ()], subscripts, name)
    if key in session.known:
        return session.known[key]
    entrywise = any(item.target.name == name and item.target.subscripts for item in session.program.equations)
    started = any(item.access.name == name for item in session.program.starts)
    raise _NotYetMade(key if entrywise and not started and not outside else (name, superscripts, ()))


def _shape(session: _Session, key: Key) -> Position:
    return () if key[2] else at(session.declarations[key[0]].shape, session.integers)
