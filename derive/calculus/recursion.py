"""The recursion of a named adjoint: δ^t in terms of δ^{t+1}, stretch by stretch, then with the slope put in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from derive.calculus.adjoint import Adjoint
from derive.calculus.cases import Case, Cases, cases
from derive.calculus.shared_adjoints import is_named
from derive.calculus.slopes import with_slopes
from derive.calculus.substitution import inlined, put
from derive.calculus.tidy import tidy
from derive.calculus.walk import Walk
from derive.calculus.wording import where, with_zero_note
from derive.language import expression as ast
from derive.language.expression import Access
from derive.language.functions import FUNCTIONS
from derive.trace import Equal, Line, Sentence, Step, TotalDerivative


def recursion_steps(found: Adjoint, walk: Walk, loss: str) -> list[Step]:
    """δ^t in terms of δ^{t+1}, and the same with the slope put in; nothing where there is nothing to put in."""
    if not is_named(found) or not found.has_matrix_form:
        return []
    steps: list[Step] = []
    recursion = inlined(found.equation.value, walk, {found.equation.target.name})
    told = recursion_cases(found, walk)
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
                _lines(told, found, walk),
                claims=tuple(TotalDerivative(Access(loss), found.array, v) for v in (recursion, told.together())),
            )
        )
    sloped = with_slopes(recursion, walk.forward, walk.scope)
    slopes = {node: None for node in ast.walk(found.equation.value) if isinstance(node, ast.Apply) and node.order == 1}
    known = [(slope, value) for slope in slopes if (value := with_slopes(slope, walk.forward, walk.scope)) != slope]
    if known and sloped != recursion:
        written = [replace(case, value=with_slopes(case.value, walk.forward, walk.scope)) for case in told.cases]
        told = replace(told, cases=tuple(written))
        steps.append(
            Step(
                f"slope-{found.array.name}",
                ("The slope put in",),
                "slope",
                _slope_reason([slope for slope, _ in known], walk),
                recursion,
                sloped,
                (*(Line((slope, value)) for slope, value in known), *_lines(told, found, walk)),
                claims=(
                    *(Equal(slope, value) for slope, value in known),
                    *(TotalDerivative(Access(loss), found.array, value) for value in (sloped, told.together())),
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
        words.append(f"{opening} slope follows from {row.source}{'; ' + row.kink if row.kink else ''}.")
    return (" ".join(dict.fromkeys(words)),)


def _lines(told: Cases, found: Adjoint, walk: Walk) -> tuple[Line, ...]:
    return with_zero_note([Line((case.target, case.value), where(case, found, walk)) for case in told.cases], told)


def recursion_cases(found: Adjoint, walk: Walk) -> Cases:
    """The adjoint stretch by stretch, unnamed adjoints put in."""
    told = _inlined_cases(found, walk)
    values = [case.value for case in told.cases]
    if len(values) > 1 or not any(isinstance(node, ast.Guard) for value in values for node in ast.walk(value)):
        return told
    # Conditions inside a product: δ = f' ⊙ ([t = T] … + [t < T] …). Take the stretches of the sum inside.
    read = {node.name for node in ast.walk(found.equation.value) if isinstance(node, Access)}
    inner = next(other for other in walk.adjoints if other.equation.target.name in read)
    inside = _inlined_cases(inner, walk)
    result: list[Case] = []
    for case in inside.cases:
        whole = ast.substitute_indices(found.equation.value, case.at)
        placed = ast.substitute_indices(inner.equation.target, case.at)
        target = ast.substitute_indices(found.equation.target, case.at)
        assert isinstance(target, Access)
        value = inlined(tidy(put(whole, placed, case.value), walk.scope), walk, {found.equation.target.name})
        result.append(replace(case, target=target, value=value))
    return replace(inside, cases=tuple(result))


def _inlined_cases(found: Adjoint, walk: Walk) -> Cases:
    """The stretches of an adjoint's equation, its own name kept."""
    value = inlined(found.equation.value, walk, {found.equation.target.name})
    return cases(replace(found.equation, value=value), walk.scope)
