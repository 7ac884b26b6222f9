"""The recurrence told as steps: one step linearised, the Jacobian chain, the closed form with proof, the vec form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import sympy as sp

from derive.calculus.closed_form import ProofLine, closed_form, is_proved, proof
from derive.calculus.flow import Flow, changes_of_parts, flow_expanded
from derive.calculus.order import reaches
from derive.calculus.recurrence import differential_name
from derive.calculus.tidy import tidy
from derive.calculus.vectorised import vectorised
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
from derive.trace import Differential, Line, ProofStep, Sentence, StateDerivative, Step, VectorisedDerivative


def chain_steps(flow: Flow, walk: Walk) -> list[Step]:
    """The steps about one recurrence."""
    first, last = sp.expand(flow.model.range.lower - 1), flow.model.range.upper
    k = flow.earlier
    name = flow.state.name
    steps = [_one_step(flow)]
    chain = flow.chain(last, k)
    steps.append(
        Step(
            f"chain-{name}",
            ("The Jacobian chain",),
            "chain rule",
            (
                "Apply the one-step Jacobian again and again. Matrices do not commute: the newest factor stands on ",
                "the left.",
            ),
            ast.Derivative(chain.of, chain.wrt),
            chain.product,
            (Line((ast.Derivative(chain.of, chain.wrt), chain.product)),),
            claims=(StateDerivative(flow.parts_at(last), flow.parts_at(k), flow_expanded(flow, chain.product)),),
        )
    )
    back = ast.Transpose(ast.Derivative(chain.of, chain.wrt))
    steps.append(
        Step(
            f"chain-transposed-{name}",
            ("The chain transposed",),
            "transpose",
            (
                "A gradient travels the other way: transposing turns every factor and reverses their order, the ",
                "oldest now on the left.",
            ),
            back,
            chain.transposed,
            (Line((back, chain.transposed)),),
            claims=(
                StateDerivative(
                    flow.parts_at(last), flow.parts_at(k), ast.Transpose(flow_expanded(flow, chain.transposed))
                ),
            ),
        )
    )
    if _has_source(flow):
        steps += _solution_steps(flow, walk, first, last)
    return steps


def _has_source(flow: Flow) -> bool:
    return bool(dict(flow.model.sources))


def _one_step(flow: Flow) -> Step:
    time = flow.time
    before, after = Access(flow.state.name, (time,)), Access(flow.state.name, (time - 1,))
    parts = {part.equation.target.name: part for part in flow.model.parts}
    lines: list[Line] = []
    for equation in flow.definitions:
        part = parts.get(equation.target.name)
        quotient = (ast.Derivative(part.of, part.wrt),) if part is not None and part.wrt is not None else ()
        if equation.target.name not in _secondary(flow):
            lines.append(Line((equation.target, *quotient, equation.value)))
    quotient = ast.Derivative(before, after)
    return Step(
        f"one-step-{flow.state.name}",
        ("One step of the recurrence",),
        "chain rule within one step",
        _one_step_reason(flow),
        quotient,
        flow.factor,
        (*lines, *([Line((quotient, flow.factor))])),
        claims=(StateDerivative(flow.parts_at(time), flow.parts_at(time - 1), flow_expanded(flow, flow.factor)),),
    )


def _one_step_reason(flow: Flow) -> Sentence:
    if len(flow.model.stage_differentials) <= 2:
        return (
            "Within one step the function acts entry by entry, so its Jacobian is diagonal; what stands before it is ",
            "affine in the state.",
        )
    return (
        "Go through the equations of one step in their order and multiply the Jacobians along each path from the ",
        "state before. Functions and products entry by entry have diagonal ones.",
    )


def _secondary(flow: Flow) -> set[str]:
    """Sources are named where they are first needed, in the closed form."""
    own = {flow.source.name} if isinstance(flow.source, Access) else set()
    return own | {part.equation.target.name for part in flow.model.parts if part.wrt is None}


def _solution_steps(flow: Flow, walk: Walk, first: Integer, last: Integer) -> list[Step]:
    recurrence = flow.recurrence
    time = flow.time
    names = [name for name, _ in flow.model.stage_differentials]
    differentials = [
        (Access(name, (time,)), Access(differential_name(name), (time,)), change)
        for name, change in flow.model.stage_differentials
    ]
    change = tidy(ast.Add((ast.Product((flow.factor, recurrence.state_at(time - 1))), recurrence.source)), flow.scope)
    named = [e for e in flow.definitions if e.target.name in _secondary(flow)]
    solved = closed_form(recurrence)
    end = flow.parts_at(last)
    lines = proof(recurrence)
    proved = is_proved(recurrence)

    def claim(expression: Expression) -> Differential:
        return Differential(end, changes_of_parts(flow, flow_expanded(flow, expression)))

    return [
        Step(
            f"differential-{flow.state.name}",
            ("Small changes: the differential form",),
            "differential",
            (
                "A differential has the shape of what it changes, so nothing of third order appears: each equation is ",
                "differentiated as it stands, inputs held.",
            ),
            recurrence.state,
            change,
            (
                *(Line((left, value)) for _, left, value in differentials),
                *(Line((e.target, e.value)) for e in named),
                *([] if flow.model.is_single and len(names) == 1 else [Line((recurrence.state, change))]),
            ),
            claims=(
                *(Differential((of,), flow_expanded(flow, value)) for of, _, value in differentials),
                Differential(flow.parts_at(time), changes_of_parts(flow, flow_expanded(flow, change))),
            ),
        ),
        Step(
            f"closed-form-{flow.state.name}",
            ("The closed form",),
            "linear recurrence",
            (
                "Unroll the recurrence: the first term carries the initial state through every step; the sum is the ",
                "rest, ",
                "one term for each step at which a parameter is used.",
            ),
            recurrence.state_at(last),
            solved,
            (Line((recurrence.state_at(last), solved)),),
            claims=(claim(solved),),
        ),
        *([_induction_step(flow, solved, last, lines, claim)] if proved else []),
        *_vec_steps(flow, walk, last),
    ]


def _induction_step(
    flow: Flow,
    solved: Expression,
    last: Integer,
    lines: Sequence[ProofLine],
    claim: Callable[[Expression], Differential],
) -> Step:
    """The proof, shown only where every line of it follows from the line before."""
    return Step(
        f"induction-{flow.state.name}",
        ("Proof by induction",),
        "induction",
        (
            "After no step the product is empty and so is the sum: both sides are the change of the initial state. ",
            "One step more:",
        ),
        flow.recurrence.state_at(last),
        solved,
        (),
        claims=tuple(claim(line.expression) for line in lines),
        proof=tuple(ProofStep(line.expression, line.rule, line.reason) for line in lines),
    )


def vec_form(flow: Flow, parameter: str, walk: Walk) -> Expression | None:
    """∂state^last/∂vec(parameter); None where the closed form does not give it.

    A parameter that also reaches the state through another recurrence, whose change stands in the source, has no such
    form here.
    """
    solved = closed_form(replace(flow.recurrence, source=_source_in_full(flow)))
    changed = {n.name.removeprefix("d_") for n in ast.walk(solved) if isinstance(n, Access) and n.name.startswith("d_")}
    elsewhere = [name for name in changed if flow.scope[name].role == "defined" and name != flow.state.name]
    if any(parameter in reaches(walk.forward, name) for name in elsewhere):
        return None
    return vectorised(solved, parameter, flow.scope)


def _source_in_full(flow: Flow) -> Expression:
    """The source without the name that a long one has."""
    whole = (e.value for e in flow.definitions if flow.model.is_single and e.target == flow.source)
    return next(whole, flow.source)


def _vec_steps(flow: Flow, walk: Walk, last: Integer) -> list[Step]:
    """∂state/∂vec(parameter) for each matrix parameter for which the closed form gives it."""
    lines: list[Line] = []
    claims: list[VectorisedDerivative] = []
    parameters = [d.name for d in flow.scope.values() if d.role == "learn" and len(d.shape) == 2 and not d.superscripts]
    for name in parameters:
        matrix = vec_form(flow, name, walk)
        if matrix is None or not flow.model.is_single:
            continue
        left = ast.Derivative(Access(flow.state.name, (sp.sympify(last),)), ast.Vectorised(Access(name)))
        lines.append(Line((left, matrix)))
        claims.append(
            VectorisedDerivative(Access(flow.state.name, (sp.sympify(last),)), name, flow_expanded(flow, matrix))
        )
    if not lines:
        return []
    return [
        Step(
            f"vec-{flow.state.name}",
            ("The same with vec and Kronecker products",),
            "vec(L dW r) = (rᵀ ⊗ L) vec(dW)",
            (
                "Stack the columns of a matrix into one vector; the derivative by a matrix is then an ordinary ",
                "Jacobian matrix.",
            ),
            lines[0].sides[0],
            lines[0].sides[1],
            tuple(lines),
            claims=tuple(claims),
        )
    ]
