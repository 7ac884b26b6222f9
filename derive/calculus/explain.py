"""The reverse walk told as steps: what is shown for each adjoint and gradient, why it holds, and what to check."""

from __future__ import annotations

from dataclasses import replace

from derive.calculus.adjoint import Adjoint
from derive.calculus.cases import Case, Cases, cases
from derive.calculus.choice_steps import choice_steps
from derive.calculus.entry_steps import entry_steps, total_derivative
from derive.calculus.implied import without_implied
from derive.calculus.minimiser import minimiser_steps
from derive.calculus.position_steps import gather_reason, steps_after, steps_before
from derive.calculus.recursion import recursion_steps
from derive.calculus.shared_adjoints import is_constant, is_named
from derive.calculus.substitution import inlined
from derive.calculus.walk import Walk
from derive.calculus.wording import reason_of, title_of, where, with_zero_note, zero_reason
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.trace import Line, Sentence, Step


def steps_of(walk: Walk, loss: str) -> list[Step]:
    """The steps of the reverse walk, in its order: each adjoint, its recursion and slope, then each gradient."""
    steps: list[Step] = []
    told: set[str] = set()
    direct = list(walk.gradients.values())
    shown: set[str] = set()
    for found in walk.adjoints:
        if is_constant(found):
            continue
        steps += choice_steps(found, walk, told)
        steps += _with_positions(found, found.array.name, adjoint_step(found, walk, loss), walk, loss)
        steps += recursion_steps(found, walk, loss)
        # A gradient is shown as soon as everything in it is known: ∂ℓ/∂v right after ∂ℓ/∂ŷ.
        known = {step.before.name for step in steps if isinstance(step.before, Access)}
        known |= {other.equation.target.name for other in walk.adjoints if is_constant(other)}
        for gradient in direct:
            if gradient.array.name not in shown and _needs(gradient, walk) <= known and _is_parameter(gradient, walk):
                steps += [*choice_steps(gradient, walk, told), *_gradient_steps(gradient, walk, loss)]
                shown.add(gradient.array.name)
    for gradient in direct:
        if gradient.equation.target.name not in {s.before.name for s in steps if isinstance(s.before, Access)}:
            steps += [*choice_steps(gradient, walk, told), *_gradient_steps(gradient, walk, loss)]
    return steps


def _gradient_steps(found: Adjoint, walk: Walk, loss: str) -> list[Step]:
    key = found.equation.target.name.removeprefix("grad_")
    step = gradient_step(found, walk, loss)
    return [*_with_positions(found, key, step, walk, loss), *minimiser_steps(found, walk, loss)]


def _with_positions(found: Adjoint, key: str, step: Step, walk: Walk, loss: str) -> list[Step]:
    """The step among those about the positions at which the array is read."""
    return [*steps_before(found, key, walk, loss), step, *steps_after(found, key, walk, loss)]


def _is_parameter(found: Adjoint, walk: Walk) -> bool:
    return walk.scope[found.array.name].role == "learn"


def _needs(found: Adjoint, walk: Walk) -> set[str]:
    results = set(walk.names.values())
    return {node.name for node in ast.walk(found.equation.value) if isinstance(node, Access) and node.name in results}


def adjoint_step(found: Adjoint, walk: Walk, loss: str) -> Step:
    """∂loss/∂array, for one array of the forward program."""
    named = {a.equation.target.name for a in walk.adjoints if not is_constant(a)}
    told = cases(replace(found.equation, value=inlined(found.equation.value, walk, named)), walk.scope)
    return _step(f"adjoint-{found.array.name}", title_of(found, walk), found, told, walk, loss)


def gradient_step(found: Adjoint, walk: Walk, loss: str) -> Step:
    """∂loss/∂parameter, input or initial state."""
    key = found.equation.target.name.removeprefix("grad_")
    role = walk.scope[found.array.name].role
    kind = {"learn": "parameter", "given": "input"}.get(role, "initial state")
    told = cases(replace(found.equation, value=inlined(found.equation.value, walk)), walk.scope)
    title = (f"The gradient with respect to the {kind} ", found.array)
    return _step(f"gradient-{key}", title, found, told, walk, loss)


def _step(name: str, title: Sentence, found: Adjoint, told: Cases, walk: Walk, loss: str) -> Step:
    shown_cases = [replace(case, value=_said(case.value, found, walk)) for case in told.cases]
    lines = with_zero_note([Line(_sides(case, found, loss), where(case, found, walk)) for case in shown_cases], told)
    shown = replace(found.equation, value=_said(told.together(), found, walk))
    return Step(
        name,
        title,
        "chain rule",
        (*reason_of(found, walk), *gather_reason(found, walk), *zero_reason(found, walk)),
        found.equation.target,
        found.equation.value,
        lines,
        ((found.array.name, walk.scope[found.array.name].shape),),
        claims=tuple(total_derivative(found, e, loss) for e in (found.equation, shown)),
        details=tuple(entry_steps(found, walk, loss)),
    )


def _sides(case: Case, found: Adjoint, loss: str) -> tuple[Expression, ...]:
    """δ^t = ∂ℓ/∂z^t = value; without the δ where the adjoint has no name; an entry where it has no matrix form."""
    if not found.has_matrix_form:
        return case.target, case.value
    quotient = ast.substitute_indices(ast.Derivative(Access(loss), found.array), case.at)
    return (case.target, quotient, case.value) if is_named(found) else (quotient, case.value)


def _said(value: Expression, found: Adjoint, walk: Walk) -> Expression:
    """The value without conditions that the zeros beyond the ends of adjoints imply."""
    return value if found.has_matrix_form else without_implied(value, walk.scope, found.equation.ranges)
