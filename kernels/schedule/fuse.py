"""Neighbouring loops made one, so that a value is used while it is still in a register or the nearest cache."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count as numbers

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access
from kernels.schedule.integers import (
    Change,
    indices,
    replaced,
    replaced_access,
    replaced_conditions,
    replaced_in,
    symbols,
)
from kernels.schedule.plan import (
    BATCH,
    Contract,
    First,
    For,
    Given,
    If,
    Larger,
    LayOut,
    Let,
    NothingYet,
    Place,
    Plan,
    Put,
    Set,
    Statement,
    View,
)


def fused(plan: Plan, _kept: Collection[str]) -> Plan:
    """``plan`` with neighbouring loops over equal ranges merged where every value is still made before it is read."""
    return replace(plan, statements=tuple(merge(plan.statements, plan)))


def merge(statements: Sequence[Statement], plan: Plan) -> list[Statement]:
    """The statements with loops merged into the ones before them, at every depth."""
    result: list[Statement] = []
    for statement in statements:
        last = result[-1] if result else None
        if isinstance(statement, For) and isinstance(last, For) and (joined := together(last, statement, plan)):
            result[-1] = joined
        else:
            result.append(statement)
    return [inside(statement, plan) for statement in result]


def inside(statement: Statement, plan: Plan) -> Statement:
    """``statement`` with the statements in it merged."""
    match statement:
        case For(body=body):
            return replace(statement, body=tuple(merge(body, plan)))
        case If(body=body, otherwise=otherwise):
            return replace(statement, body=tuple(merge(body, plan)), otherwise=tuple(merge(otherwise, plan)))
        case _:
            return statement


def together(first: For, second: For, plan: Plan) -> For | None:
    """One loop with both bodies, if it computes the same."""
    if (first.lower, first.upper, first.descending) != (second.lower, second.upper, second.descending):
        return None
    body = tuple(renamed(statement, {second.index: first.index}) for statement in second.body)
    before, after = list(touched(first.body)), list(touched(body))
    if None in before or None in after:
        return None
    pairs = ((a, b) for a in before for b in after if a and b and a.access.name == b.access.name)
    conflicts = (pair for pair in pairs if pair[0].written or pair[1].written)
    if not all(same_place(a.access, b.access, first.index, plan) for a, b in conflicts):
        return None
    return replace(first, body=first.body + body)


def same_place(one: Access, two: Access, index: sp.Symbol, plan: Plan) -> bool:
    """True if the two accesses meet only at equal values of ``index``; a local variable lives for one turn anyway."""
    if one.name not in plan.arrays:
        return True
    if index == BATCH:
        return plan.arrays[one.name].batched
    if len(one.subscripts) != len(two.subscripts):  # all entries of one of them
        return False
    places = zip((*one.superscripts, *one.subscripts), (*two.superscripts, *two.subscripts), strict=True)
    return any(a == b and indices(a) == {index} for a, b in places)


@dataclass(frozen=True)
class Touch:
    """An access in a statement, and whether it is written."""

    access: Access
    written: bool


def touched(statements: Iterable[Statement], begun: bool = False) -> Iterable[Touch | None]:
    """Every access, one without subscripts for all entries; None for a statement of another kind.

    A search has to be ``begun`` inside, or else what it has found outlives a turn of the loop.
    """
    for statement in statements:
        match statement:
            case For(body=body):
                yield from touched(body, begun)
            case If(body=body, otherwise=otherwise):
                yield from touched((*body, *otherwise), begun)
            case Set(target=target, value=value):
                yield Touch(target, written=True)
                yield from (Touch(node, written=False) for node in ast.walk(value) if isinstance(node, Access))
            case Let():
                pass
            case Put(target=target):
                yield Touch(target, written=True)
            case NothingYet():
                begun = True
            case First(value=value):
                begun = True
                yield from (Touch(node, written=False) for node in ast.walk(value) if isinstance(node, Access))
            case Larger(value=value) if begun:
                yield from (Touch(node, written=False) for node in ast.walk(value) if isinstance(node, Access))
            case LayOut(array=array):
                yield Touch(Access(array.name), written=False)
            case Contract(left=left, out=out):
                yield Touch(Access(left.name), written=False)
                yield Touch(Access(out.name), written=True)
            case _:
                yield None


def unused(index: sp.Symbol, statement: Statement) -> sp.Symbol:
    """An index like ``index`` that no loop in ``statement`` has."""

    def taken(statement: Statement) -> set[sp.Symbol]:
        match statement:
            case For(index=own, body=body):
                return {own}.union(*map(taken, body))
            case If(body=body, otherwise=otherwise):
                return set[sp.Symbol]().union(*map(taken, (*body, *otherwise)))
            case _:
                return set()

    names = (f"{'_' * count}{index.name}" for count in numbers(1))
    return next(found for found in map(ast.index, names) if found not in taken(statement))


def moved(view: View, change: Change) -> View:
    """The view with indices replaced."""

    def place(old: Place) -> Place:
        match old:
            case None:
                return None
            case (first, last):
                return replaced(first, change), replaced(last, change)
            case _:
                return replaced(old, change)

    return replace(view, places=tuple(map(place, view.places)))


def renamed(statement: Statement, change: Change) -> Statement:
    """A statement of which ``touched`` knows the accesses, with indices replaced."""
    match statement:
        case For(index=index, lower=lower, upper=upper, body=body):
            if index in symbols(*change.values()):  # this loop's index must stay another one
                fresh = unused(index, statement)
                statement = replace(statement, index=fresh)
                body = tuple(renamed(one, {index: fresh}) for one in body)
            inner = tuple(renamed(one, change) for one in body)
            return replace(statement, lower=replaced(lower, change), upper=replaced(upper, change), body=inner)
        case If(conditions=conditions, body=body, otherwise=otherwise):
            plain = [condition for condition in conditions if not isinstance(condition, Given)]
            given = [condition for condition in conditions if isinstance(condition, Given)]
            return If(
                (*given, *replaced_conditions(plain, change)),
                tuple(renamed(one, change) for one in body),
                tuple(renamed(one, change) for one in otherwise),
            )
        case Set(target=target, value=value):
            return replace(statement, target=replaced_access(target, change), value=replaced_in(value, change))
        case Let(value=value):
            return replace(statement, value=replaced(value, change))
        case Put(target=target, value=value):
            return replace(statement, target=replaced_access(target, change), value=replaced(value, change))
        case First(value=value, position=position) | Larger(value=value, position=position):
            place = None if position is None else replaced(position, change)
            return replace(statement, value=replaced_in(value, change), position=place)
        case LayOut(array=array):
            return replace(statement, array=moved(array, change))
        case Contract(left=left, out=out):
            return replace(statement, left=moved(left, change), out=moved(out, change))
        case _:
            return statement
