"""What an expression is worth in one place, sums and maxima written out term by term, without any grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import exp, log, prod
from typing import Any

import numpy as np

from derive.evaluate import Results, Scope, function_value, holds, integer, rational, scope_at, value
from derive.language import expression as ast
from derive.language.expression import Expression
from derive.language.system import Declaration, Program, Range

Integers = Mapping[str, int]


def choices(ranges: Sequence[Range], at: Integers) -> Iterator[dict[str, int]]:
    """Every choice of the indices, the last running fastest."""
    if not ranges:
        yield dict(at)
        return
    for step in range(integer(ranges[0].lower, at), integer(ranges[0].upper, at) + 1):
        yield from choices(ranges[1:], {**at, ranges[0].index.name: step})


def entry_of(array: Any, declaration: Declaration, places: Sequence[int]) -> Any:
    """The entry there; zero beyond the array where that is declared."""
    inside = all(0 <= place < extent for place, extent in zip(places, np.shape(array), strict=True))
    assert inside or declaration.zero_outside
    return array[tuple(places)] if inside else 0.0


def worth(node: Expression, at: Integers, program: Program, results: Results, scope: Scope) -> Any:
    """The value where indices and sizes are ``at``; a node that only mixes whole arrays is left to the evaluator."""

    def of(part: Expression, here: Integers = at) -> Any:
        return worth(part, here, program, results, scope)

    match node:
        case ast.Number(value=number):
            return float(number)
        case ast.SizeValue(value=number):
            return float(rational(number, at))
        case ast.Access(name=name, superscripts=above, subscripts=below):
            place = name, tuple(integer(s, at) for s in above)
            if place not in results or not below:
                return value(node, Scope(scope.read, scope.shape, at, scope.functions))
            return entry_of(results[place], program.declaration(name), [integer(s, at) for s in below])
        case ast.Add(terms=terms):
            return sum(map(of, terms[1:]), of(terms[0]))
        case ast.Negative(operand=operand):
            return -of(operand)
        case ast.Product(factors=factors) if not any(map(scope.shape, factors)):
            return prod(map(of, factors))
        case ast.Quotient(numerator=above, denominator=below):
            return of(above) / of(below)
        case ast.Power(base=base, exponent=exponent):
            return of(base) ** of(exponent)
        case ast.Apply(function=function, argument=argument, order=order):
            return function_value(scope.functions.get(function, function), of(argument), order)
        case ast.Sum(index=bound, lower=lower, upper=upper, body=body):
            terms = [of(body, here) for here in choices([Range(bound, lower, upper)], at)]
            return sum(terms[1:], terms[0]) if terms else np.zeros([integer(n, at) for n in scope.shape(body)])
        case ast.LogSumExp(index=bound, lower=lower, upper=upper, body=body):
            return log(sum(exp(of(body, here)) for here in choices([Range(bound, lower, upper)], at)))
        case ast.Maximum() if not scope.shape(node.body):
            return max(_candidates(node, at, of).values(), default=0.0)
        case ast.Share(maximum=maximum, at=position):
            found = _candidates(maximum, at, of)
            best = max(found.values(), default=0.0)
            equal = [place for place, number in found.items() if number == best]
            if tuple(integer(p, at) for p in position) not in (equal[:1] if maximum.ties == "first" else equal):
                return 0.0
            return float(Fraction(1, len(equal))) if maximum.ties == "split" else 1.0
        case ast.Guard(conditions=conditions, body=body):
            if all(holds(condition, at) for condition in conditions):
                return of(body)
            return np.zeros([integer(n, at) for n in scope.shape(body)])
        case _:
            return value(node, Scope(scope.read, scope.shape, at, scope.functions))


def _candidates(maximum: ast.Maximum, at: Integers, of: Any) -> dict[tuple[int, ...], float]:
    return {
        tuple(here[item.index.name] for item in maximum.ranges): of(maximum.body, here)
        for here in choices(maximum.ranges, at)
        if all(holds(condition, here) for condition in maximum.conditions)
    }


def assert_every_equation_holds(
    program: Program, results: Results, sizes: Integers, functions: Mapping[str, str]
) -> int:
    """Entry by entry, each equation gives what ``results`` has; how many entries that were."""
    scope, count = scope_at(program, results, sizes, functions), 0
    for equation in program.equations:
        target = equation.target
        for at in choices(equation.ranges, sizes):
            array = results[target.name, tuple(integer(s, at) for s in target.superscripts)]
            found = array[tuple(integer(s, at) for s in target.subscripts)] if target.subscripts else array
            wanted = worth(equation.value, at, program, results, scope)
            np.testing.assert_allclose(found, np.broadcast_to(wanted, np.shape(found)), rtol=1e-11, atol=1e-12)
            count += 1
    return count
