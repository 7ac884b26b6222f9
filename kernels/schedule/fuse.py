"""Neighbouring loops made one, so that a value is used while it is still in a register or the nearest cache."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access
from kernels.schedule.integers import Change, replaced, replaced_access, replaced_conditions, replaced_in
from kernels.schedule.plan import BATCH, For, Given, If, Plan, Set, Statement


def fused(plan: Plan) -> Plan:
    """``plan`` with neighbouring loops over equal ranges merged where every value is still made before it is read."""
    return replace(plan, statements=tuple(merge(plan.statements, plan)))


def merge(statements: Sequence[Statement], plan: Plan) -> list[Statement]:
    result: list[Statement] = []
    for statement in statements:
        if isinstance(statement, If):
            statement = replace(
                statement, body=tuple(merge(statement.body, plan)), otherwise=tuple(merge(statement.otherwise, plan))
            )
        last = result[-1] if result else None
        if isinstance(statement, For) and isinstance(last, For) and (joined := together(last, statement, plan)):
            result[-1] = joined
        else:
            result.append(statement)
    return [replace(s, body=tuple(merge(s.body, plan))) if isinstance(s, For) else s for s in result]


def together(first: For, second: For, plan: Plan) -> For | None:
    """One loop with both bodies, if it computes the same."""
    if (first.lower, first.upper, first.descending) != (second.lower, second.upper, second.descending):
        return None
    body = tuple(renamed(statement, {second.index: first.index}) for statement in second.body)
    one, two = list(touched(first.body)), list(touched(body))
    if None in one or None in two:
        return None
    for a in one:
        for b in two:
            if a is None or b is None or a[0].name != b[0].name or not (a[1] or b[1]):
                continue
            if a[0].name in plan.arrays and not same_place(a[0], b[0], first.index, plan):
                return None
    return replace(first, body=first.body + body)


def same_place(one: Access, two: Access, index: sp.Symbol, plan: Plan) -> bool:
    """True if the two accesses meet only at equal values of ``index``."""
    if index == BATCH:
        return plan.arrays[one.name].batched
    places = zip((*one.superscripts, *one.subscripts), (*two.superscripts, *two.subscripts), strict=True)
    return any(a == b and sp.diff(a, index) != 0 for a, b in places)


def touched(statements: Iterable[Statement]) -> Iterable[tuple[Access, bool] | None]:
    """Each access, and whether it is written; None for a statement that is not entrywise."""
    for statement in statements:
        match statement:
            case For(body=body):
                yield from touched(body)
            case If(body=body, otherwise=otherwise):
                yield from touched((*body, *otherwise))
            case Set(target=target, value=value):
                yield target, True
                for node in ast.walk(value):
                    if isinstance(node, Access):
                        yield node, False
            case _:
                yield None


def renamed(statement: Statement, change: Change) -> Statement:
    """An entrywise statement with indices replaced."""
    match statement:
        case For(lower=lower, upper=upper, body=body):
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
        case _:
            return statement
