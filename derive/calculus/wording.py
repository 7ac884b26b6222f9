"""The words of a derivation: titles, reasons and conditions, made from the equations they speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sympy as sp

from derive.calculus.adjoint import Adjoint, Contribution
from derive.calculus.cases import Case, Cases
from derive.calculus.implied import zero_beyond
from derive.calculus.order import recurrent
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Equation
from derive.trace import Line, Sentence


def where(case: Case, found: Adjoint, walk: Walk) -> Sentence:
    """For which times a line holds; from the last to the first where later values are needed first."""
    others = [item for item in found.equation.ranges[1:] if item.index in found.equation.target.superscripts]
    rest: list[str | Expression] = []
    for item in others:
        ends = (ast.SizeValue(item.lower), " to ", ast.SizeValue(item.upper))
        rest += [" and " if rest or not case.is_point else "for ", ast.SizeValue(item.index), " from ", *ends]
    if case.index is None or case.is_point:
        return tuple(rest)
    backwards = any(found.array.name in group for group in recurrent(walk.forward)) or any(
        isinstance(node, Access) and node.superscripts and sp.expand(node.superscripts[0] - case.index).is_positive
        for node in ast.walk(case.value)
    )
    index, first, last = case.index_expression, ast.SizeValue(case.lower), ast.SizeValue(case.upper)
    if backwards:
        return ("for ", index, " from ", last, " down to ", first, *rest)
    return ("for ", index, " from ", first, " to ", last, *rest)


def with_zero_note(lines: Sequence[Line], told: Cases) -> tuple[Line, ...]:
    """The lines, what counts as zero after the last step said behind the last of them."""
    if not told.zero_beyond:
        return tuple(lines)
    *others, last = lines
    return (*others, replace(last, where=(*last.where, ", with ", *listed(told.zero_beyond), " = 0")))


def listed(items: Sequence[Expression]) -> Sentence:
    """a, b and c."""
    words: list[str | Expression] = []
    for number, item in enumerate(items):
        if number:
            words.append(" and " if number == len(items) - 1 else ", ")
        words.append(item)
    return tuple(words)


def title_of(found: Adjoint, walk: Walk) -> Sentence:
    """What the step about an adjoint is called."""
    readers = [c.stage.name for c in found.contributions]
    values = [e.value for e in walk.forward.equations if e.target.name in readers]
    applied = [value for value in values if isinstance(value, ast.Apply) and isinstance(value.argument, Access)]
    if len(readers) == 1 and any(isinstance(value, ast.Maximum) for value in values):
        return ("What flows back through the maximum to ", found.array)
    if applied and len(readers) == 1:
        return ("Through the function ", ast.Apply(applied[0].function, found.array))
    return ("What flows back to ", found.array)


def reason_of(found: Adjoint, walk: Walk) -> Sentence:
    """One sentence on the paths by which the array reaches the loss."""
    paths = [_path(c, found, walk) for c in found.contributions]
    if not paths:
        return (found.array, " does not reach the loss, so its gradient is zero.")
    if len(paths) == 1:
        return paths[0]
    words: list[str | Expression] = [found.array, " reaches the loss along ", f"{_count(len(paths))} paths: "]
    for number, contribution in enumerate(found.contributions):
        words += [
            "; and " if 0 < number == len(paths) - 1 else "; " if number else "",
            *_through(contribution, walk),
        ]
    return (*words, ". What flows back along them adds up.")


def zero_reason(found: Adjoint, walk: Walk) -> Sentence:
    """That arrays count as zero beyond their ends, where a formula makes use of it."""
    arrays = () if found.has_matrix_form else zero_beyond(found.equation, walk.scope)
    return (" Outside its range ", *listed(arrays), " is zero.") if arrays else ()


def _count(number: int) -> str:
    return ("no", "one", "two", "three", "four", "five", "six")[number] if number < 7 else str(number)


def _path(contribution: Contribution, found: Adjoint, walk: Walk) -> Sentence:
    equation = _equation(contribution, walk)
    if equation is None:
        return (found.array, " is made from the initial state.")
    at = _reading_target(contribution, equation, walk)
    value = equation.value
    names = {bound.index.name for term in contribution.terms for bound in term.bounds}
    repeated = any(r.index.name in names for r in equation.ranges if r.index in equation.target.superscripts)
    uses = [r.index for r in equation.ranges if r.index.name in names and r.index not in equation.target.superscripts]
    if isinstance(value, ast.Maximum):
        return (at, " is the largest of its window, and with the choice held it changes as the one entry that it took.")
    if isinstance(value, ast.Apply) and isinstance(value.argument, Access):
        slope = ast.Apply(value.function, found.array, value.order + 1)
        return (
            at,
            " is ",
            ast.Apply(value.function, found.array),
            ", entry by entry, so its Jacobian is diagonal with the slopes ",
            slope,
            ".",
        )
    if not _is_affine(contribution, found):
        return (at, " depends on ", found.array, " directly; the rest is held while we differentiate.")
    form = " is linear in " if _is_linear(contribution, found) else " is affine in "
    if repeated:
        same = ", which is the same at every step; each use sends back its share, and the shares add up."
        return (at, form, found.array, same)
    if contribution.scattered is not None:
        return (at, form, found.array, ".")
    if uses and not found.has_matrix_form:
        several = [ast.SizeValue(use) for use in uses]
        share = ": every use sends back its share, and the shares add up."
        return (at, form, found.array, ", which is used at every ", *listed(several), share)
    if walk.scope[found.array.name].role == "defined":
        turned = any(isinstance(node, ast.Transpose) for node in ast.walk(contribution.value))
        carrier = "the transposed matrix" if turned else "its coefficient"
        return (found.array, " is read by ", at, " alone, and ", at, form, f"it: {carrier} carries the change back.")
    return (at, form, found.array, ", and nothing else reads it.")


def _through(contribution: Contribution, walk: Walk) -> Sentence:
    equation = _equation(contribution, walk)
    if equation is None:
        return ("the initial state",)
    at = _reading_target(contribution, equation, walk)
    return ("through ", at)


def _reading_target(contribution: Contribution, equation: Equation, walk: Walk) -> Access:
    """The stage's output at the time at which it reads the array: z^{t+1} for h^t."""
    result = walk.names.get(contribution.stage.name)
    for node in ast.walk(contribution.value):
        if isinstance(node, Access) and node.name == result:
            return Access(equation.target.name, node.superscripts)
    return Access(equation.target.name, equation.target.superscripts)


def _equation(contribution: Contribution, walk: Walk) -> Equation | None:
    return next((e for e in walk.forward.equations if e.target.name == contribution.stage.name), None)


def _is_linear(contribution: Contribution, found: Adjoint) -> bool:
    """The stage has no term without the array."""
    terms = sp.Add.make_args(contribution.stage.body)
    return all(term.has(sp.IndexedBase(found.array.name)) for term in terms)


def _is_affine(contribution: Contribution, found: Adjoint) -> bool:
    return not contribution.partial.has(sp.IndexedBase(found.array.name))
