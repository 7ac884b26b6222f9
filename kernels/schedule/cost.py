"""How much a plan computes."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from derive.language.expression import Integer
from kernels.schedule.integers import extent, integer, replaced
from kernels.schedule.plan import BATCH_SIZE, For, If, Multiply, Outer, Plan, Statement, View


def multiply_adds(plan: Plan) -> Integer:
    """The multiply-adds of all products of matrices, in sizes; a bound where a loop's range depends on an index."""

    def total(statements: Sequence[Statement]) -> Integer:
        return integer(sp.Add(*map(one, statements)))

    def one(statement: Statement) -> Integer:
        match statement:
            case For(index=index, lower=lower, upper=upper, body=body):
                return (upper - lower + 1) * replaced(total(body), {index: upper})
            case If(body=body, otherwise=otherwise):
                return total((*body, *otherwise))
            case Multiply(left=left, panels=panels):
                return sp.Mul(*lengths(left, plan), plan.panels[panels][1])
            case Outer(left=left, right=right):
                return sp.Mul(*lengths(left, plan), lengths(right, plan)[-1])
            case _:
                return sp.Integer(0)

    return total(plan.statements)


def lengths(view: View, plan: Plan) -> list[Integer]:
    """The lengths of the axes that a view leaves."""
    array = plan.arrays[view.name]
    axes = [*map(extent, array.slots), *([BATCH_SIZE] if array.batched else []), *array.shape]
    found: list[Integer] = []
    for place, length in zip(view.places, axes, strict=True):
        if place is None:
            found.append(length)
        elif isinstance(place, tuple):
            found.append(place[1] - place[0] + 1)
    return found
