"""How much a plan computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sympy as sp

from derive.language.expression import Integer
from kernels.schedule.integers import extent, integer, replaced, symbols
from kernels.schedule.plan import (
    BATCH_SIZE,
    Contract,
    First,
    For,
    If,
    Larger,
    Let,
    Multiply,
    Outer,
    Plan,
    Set,
    Statement,
    View,
)


def multiply_adds(plan: Plan) -> Integer:
    """The multiply-adds of all products and contractions, in sizes; a bound where ranges depend on an index."""

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
            case Contract(contraction=name):
                return sp.Mul(*plan.contractions[name].extents)
            case _:
                return sp.Integer(0)

    return total(plan.statements)


ENTRY = 4
"""Multiply-adds of a product in the time that a loop takes for one line."""


def work(plan: Plan, values: Mapping[str, int]) -> int:
    """How long ``plan`` takes at these sizes, in multiply-adds of a product; loops as in the middle of outer ones."""

    def at(value: Integer, places: Mapping[sp.Symbol, Integer]) -> int:
        known = {symbol: places.get(symbol, sp.Integer(values.get(symbol.name, 1))) for symbol in symbols(value)}
        return int(str(sp.floor(replaced(integer(value), known))))

    def total(statements: Sequence[Statement], places: dict[sp.Symbol, Integer]) -> int:
        found = 0
        for statement in statements:
            match statement:
                case For(index=index, lower=lower, upper=upper, body=body):
                    first, last = at(lower, places), at(upper, places)
                    if last >= first:
                        found += (last - first + 1) * total(body, {**places, index: sp.Integer((first + last) // 2)})
                case If(body=body, otherwise=otherwise):
                    found += max(total(body, dict(places)), total(otherwise, dict(places)))
                case Let(name=name, value=value):
                    places[name] = sp.Integer(at(value, places))
                case Set() | First() | Larger():
                    found += ENTRY
                case _:
                    found += at(multiply_adds(replace(plan, statements=(statement,))), places)
        return found

    return total(plan.statements, {})


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
