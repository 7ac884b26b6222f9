"""The recursion of a named adjoint: δ^t in terms of δ^{t+1}, stretch by stretch, then with the slope put in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from derive.calculus.adjoint import Adjoint
from derive.calculus.cases import Case, Cases, cases
from derive.calculus.slopes import with_slopes
from derive.calculus.substitution import inlined, is_named, put
from derive.calculus.tidy import tidy
from derive.calculus.walk import Walk
from derive.calculus.wording import where, zero_note
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.functions import FUNCTIONS
from derive.trace import Equal, Line, Sentence, Step, TotalDerivative

Stretch = tuple[Case, Expression, tuple[Access, ...]]
"""One stretch of a recursion: for which times, its value, and what counts as zero beyond the end."""


def recursion_steps(found: Adjoint, walk: Walk, loss: str) -> list[Step]:
    """δ^t in terms of δ^{t+1}, and the same with the slope put in; nothing where there is nothing to put in."""
    if not is_named(found) or not found.has_matrix_form:
        return []
    steps: list[Step] = []
    recursion = inlined(found.equation.value, walk, {found.equation.target.name})
    if recursion != found.equation.value:
        reason = (
            "Put what flows back to the function's value into it; ",
            "the sequence is now walked from its end to its beginning.",
        )
        steps.append(
            Step(
                f"recursion-{found.array.name}",
                ("The recursion for ", found.equation.target),
                "substitution",
                reason,
                found.equation.value,
                recursion,
                _lines(recursion_cases(found, walk)),
                claims=(TotalDerivative(Access(loss), found.array, recursion),),
            )
        )
    sloped = with_slopes(recursion, walk.forward, walk.scope)
    slopes = {node: None for node in ast.walk(found.equation.value) if isinstance(node, ast.Apply) and node.order == 1}
    known = [(slope, value) for slope in slopes if (value := with_slopes(slope, walk.forward, walk.scope)) != slope]
    if known and sloped != recursion:
        told = [
            (case, with_slopes(value, walk.forward, walk.scope), beyond)
            for case, value, beyond in recursion_cases(found, walk)
        ]
        steps.append(
            Step(
                f"slope-{found.array.name}",
                ("The slope put in",),
                "slope",
                _slope_reason([slope for slope, _ in known], walk),
                recursion,
                sloped,
                (*(Line((slope, value)) for slope, value in known), *_lines(told)),
                claims=(
                    *(Equal(slope, value) for slope, value in known),
                    TotalDerivative(Access(loss), found.array, sloped),
                ),
            )
        )
    return steps


def _slope_reason(slopes: Sequence[ast.Apply], walk: Walk) -> Sentence:
    words: list[str] = []
    for slope in slopes:
        name = dict(walk.forward.functions).get(slope.function, slope.function)
        row = FUNCTIONS[name]
        is_same = slope.function == name
        opening = f"The function is {name}, and its" if is_same else f"Here {slope.function} is {name}, and its"
        words.append(f"{opening} slope follows from the {row.source}{'; ' + row.kink if row.kink else ''}.")
    return (" ".join(dict.fromkeys(words)),)


def _lines(told: Sequence[Stretch]) -> tuple[Line, ...]:
    """A line for each stretch; what counts as zero after the end stands behind the last."""
    lines = [Line((case.target, value), where(case)) for case, value, _ in told]
    beyond = next((zero for _, _, zero in told if zero), ())
    if beyond:
        lines[-1] = replace(lines[-1], where=(*lines[-1].where, *zero_note(beyond)))
    return tuple(lines)


def recursion_cases(found: Adjoint, walk: Walk) -> list[Stretch]:
    """The adjoint stretch by stretch, unnamed adjoints put in, with the accesses that are zero beyond the end."""
    told = _inlined_cases(found, walk)
    values = [case.value for case in told.cases]
    if len(values) > 1 or not any(isinstance(node, ast.Guard) for value in values for node in ast.walk(value)):
        return [(case, case.value, told.zero_beyond) for case in told.cases]
    # Conditions inside a product: δ = f' ⊙ ([t = T] … + [t < T] …). Take the stretches of the sum inside.
    read = {node.name for node in ast.walk(found.equation.value) if isinstance(node, Access)}
    inner = next(other for other in walk.adjoints if other.equation.target.name in read)
    inside = _inlined_cases(inner, walk)
    result: list[Stretch] = []
    for case in inside.cases:
        whole = ast.substitute_indices(found.equation.value, case.at)
        placed = ast.substitute_indices(inner.equation.target, case.at)
        target = ast.substitute_indices(found.equation.target, case.at)
        assert isinstance(target, Access)
        value = inlined(tidy(put(whole, placed, case.value), walk.scope), walk, {found.equation.target.name})
        result.append((replace(case, target=target), value, inside.zero_beyond))
    return result


def _inlined_cases(found: Adjoint, walk: Walk) -> Cases:
    """The stretches of an adjoint's equation, its own name kept."""
    value = inlined(found.equation.value, walk, {found.equation.target.name})
    return cases(replace(found.equation, value=value), walk.scope)
