"""The recurrence told as steps: one step linearised, the Jacobian chain, its closed form with proof, and the vec form of a parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import sympy as sp

from derive.calculus.closed_form import ProofLine, Recurrence, closed_form, is_proved, proof, vectorised
from derive.calculus.order import reaches, recurrent
from derive.calculus.recurrence import (
    Chain,
    Linearised,
    differential_name,
    linearised,
    one_step,
    product_of_steps,
    state_parts,
    transpose_product,
)
from derive.calculus.tidy import tidy
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
from derive.language.system import Declaration, Equation, Scope
from derive.trace import Differential, Line, ProofStep, StateDerivative, Step, VectorisedDerivative


@dataclass(frozen=True)
class Flow:
    """One recurrence of a system with everything its formulas name."""

    model: Linearised
    factor: Expression
    """A^t as written in products: ``J^t U``, or the name of a block matrix."""
    state: Access
    source: Expression
    definitions: tuple[Equation, ...]
    scope: Scope

    @property
    def time(self) -> sp.Symbol:
        """The time index of the recurrence."""
        return self.model.range.index

    @property
    def recurrence(self) -> Recurrence:
        """The linear recurrence of small changes."""
        change = Access(differential_name(self.state.name), self.state.superscripts)
        return Recurrence(
            self.time, self.model.range.lower, self.model.range.upper, change, self.factor, self.source, self.scope
        )

    def parts_at(self, position: Integer) -> tuple[Access, ...]:
        """The arrays that make up the state at one time: (h^t,) or (h^t, h^{t-1})."""
        return tuple(Access(name, (sp.expand(sp.sympify(position) - back),)) for name, back in state_parts(self.model))

    def chain(self, last: Integer, first: Integer) -> Chain:
        """∂state^last/∂state^first as an ordered product, and its transpose."""
        product = product_of_steps(self.factor, self.time, last, first)
        of, wrt = (Access(self.state.name, (sp.sympify(p),)) for p in (last, first))
        return Chain(of, wrt, product, transpose_product(product, self.scope), self.definitions)


def flows(walk: Walk) -> tuple[Flow, ...]:
    """The recurrences whose states are numbers or vectors, each with its one-step Jacobian."""
    found = []
    taken: dict[str, Declaration] = dict(walk.scope)
    for group in recurrent(walk.forward):
        model = linearised(walk.forward, group, taken)
        if model is None or not dict(model.jacobians):
            continue
        taken |= {declaration.name: declaration for declaration in model.declarations}
        scope = {**taken, **{differential_name(n): replace(d, name=differential_name(n)) for n, d in taken.items()}}
        flow = _flow(model, scope)
        taken |= {name: flow.scope[name] for name in flow.scope if name not in taken}
        found.append(flow)
    return tuple(found)


def _flow(model: Linearised, scope: Mapping[str, Declaration]) -> Flow:
    time = model.range.index
    sources = dict(model.sources)
    step = one_step(model, scope)
    if model.is_single:
        ((name, _),) = model.states
        nothing: Expression = ast.Filled(0, scope[name].shape) if scope[name].shape else ast.ZERO
        return Flow(model, step, Access(name, (time,)), sources.get(name, nothing), model.definitions, scope)
    names = {key: next(n for n in wishes if n not in scope) for key, wishes in _STACKED.items()}
    extents = [scope[name].shape[0] if scope[name].shape else sp.Integer(1) for name, _ in state_parts(model)]
    extent = sp.Add(*extents)
    ranges = (model.range,)
    blocks = []
    for (name, back), rows in zip(state_parts(model), extents, strict=True):
        source = sources.get(name) if back == 0 else None
        blocks.append((source if source is not None else ast.Filled(0, (rows,)),))
    here = {key: Access(name, (time,)) for key, name in names.items()}
    stack = ast.Block(tuple((Access(name, (sp.expand(time - back),)),) for name, back in state_parts(model)))
    definitions = (
        *model.definitions,
        Equation(here["state"], stack, ranges),
        Equation(here["matrix"], step, ranges),
        Equation(here["source"], ast.Block(tuple(blocks)), ranges),
    )
    declared = {
        names["state"]: Declaration(names["state"], "defined", (extent,), ranges),
        names["matrix"]: Declaration(names["matrix"], "defined", (extent, extent), ranges),
        names["source"]: Declaration(names["source"], "defined", (extent,), ranges),
    }
    changes = {differential_name(n): replace(d, name=differential_name(n)) for n, d in declared.items()}
    return Flow(model, here["matrix"], here["state"], here["source"], definitions, {**scope, **declared, **changes})


_STACKED = {"state": ("s", "state", "s_"), "matrix": ("M", "A", "M_"), "source": ("b", "r", "b_")}
"""Names for a stacked state, its one-step matrix and its source, in order of preference."""


def chain_steps(flow: Flow, walk: Walk) -> list[Step]:
    """The steps about one recurrence."""
    time, model = flow.time, flow.model
    first, last = sp.expand(flow.model.range.lower - 1), flow.model.range.upper
    k = ast.index("k") if ast.index("k") != time else ast.index("s")
    name = flow.state.name
    steps = [_one_step(flow)]
    chain = flow.chain(last, k)
    steps.append(
        Step(
            f"chain-{name}",
            ("The Jacobian chain",),
            "chain rule",
            (
                "Apply the one-step Jacobian again and again. Matrices do not commute: the newest factor stands on the left.",
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
                "A gradient travels the other way: transposing turns every factor and reverses their order, the oldest now on the left.",
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


def flow_expanded(flow: Flow, expression: Expression) -> Expression:
    """``expression`` with the matrices that the formulas name (J, M) replaced by what they are."""
    table = {e.target.name: e for e in flow.definitions}

    def visit(node: Expression) -> Expression:
        if isinstance(node, Access) and node.name in table:
            equation = table[node.name]
            return visit(
                ast.substitute_indices(
                    equation.value, dict(zip(equation.target.superscripts, node.superscripts, strict=True))
                )
            )  # type: ignore[arg-type]
        return ast.map_children(visit, node)

    return visit(expression)


def _one_step(flow: Flow) -> Step:
    time = flow.time
    before, after = Access(flow.state.name, (time,)), Access(flow.state.name, (time - 1,))
    lines = [
        Line((equation.target, equation.value))
        for equation in flow.definitions
        if equation.target.name not in _secondary(flow)
    ]
    quotient = ast.Derivative(before, after)
    return Step(
        f"one-step-{flow.state.name}",
        ("One step of the recurrence",),
        "chain rule within one step",
        (
            "Within one step the function acts entry by entry, so its Jacobian is diagonal; what stands before it is affine in the state.",
        ),
        quotient,
        flow.factor,
        (*lines, *([Line((quotient, flow.factor))])),
        claims=(StateDerivative(flow.parts_at(time), flow.parts_at(time - 1), flow_expanded(flow, flow.factor)),),
    )


def _secondary(flow: Flow) -> set[str]:
    """The source is named where it is first needed, in the closed form."""
    return set() if flow.model.is_single else {flow.source.name} if isinstance(flow.source, Access) else set()


def _solution_steps(flow: Flow, walk: Walk, first: Integer, last: Integer) -> list[Step]:
    recurrence = flow.recurrence
    time = flow.time
    names = [name for name, _ in flow.model.stage_differentials]
    differentials = [
        (Access(name, (time,)), Access(differential_name(name), (time,)), change)
        for name, change in flow.model.stage_differentials
    ]
    change = tidy(ast.Add((ast.Product((flow.factor, recurrence.state_at(time - 1))), recurrence.source)), flow.scope)
    named = [e for e in flow.definitions if isinstance(flow.source, Access) and e.target.name == flow.source.name]
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
                "Unroll the recurrence: the first term carries the initial state through every step; the sum is the rest, ",
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
            "After no step the product is empty and so is the sum: both sides are the change of the initial state. One step more:",
        ),
        flow.recurrence.state_at(last),
        solved,
        (),
        claims=tuple(claim(line.expression) for line in lines),
        proof=tuple(ProofStep(line.expression, line.rule, line.reason) for line in lines),
    )


def changes_of_parts(flow: Flow, expression: Expression) -> Expression:
    """The change of a stacked state written out in the changes of its parts."""
    if flow.model.is_single:
        return expression
    stack = differential_name(flow.state.name)

    def visit(node: Expression) -> Expression:
        if isinstance(node, Access) and node.name == stack:
            parts = flow.parts_at(node.superscripts[0])
            return ast.Block(tuple((Access(differential_name(part.name), part.superscripts),) for part in parts))
        return ast.map_children(visit, node)

    return visit(expression)


def vec_form(flow: Flow, parameter: str, walk: Walk) -> Expression | None:
    """∂state^last/∂vec(parameter); None where the closed form does not give it.

    A parameter that also reaches the state through another recurrence, whose change stands in the source, has no such form here.
    """
    solved = closed_form(flow.recurrence)
    changed = {n.name.removeprefix("d_") for n in ast.walk(solved) if isinstance(n, Access) and n.name.startswith("d_")}
    elsewhere = [name for name in changed if flow.scope[name].role == "defined" and name != flow.state.name]
    if any(parameter in reaches(walk.forward, name) for name in elsewhere):
        return None
    return vectorised(solved, parameter, flow.scope)


def _vec_steps(flow: Flow, walk: Walk, last: Integer) -> list[Step]:
    """∂state/∂vec(parameter) for each matrix parameter for which the closed form gives it."""
    lines: list[Line] = []
    claims: list[VectorisedDerivative] = []
    parameters = [d.name for d in flow.scope.values() if d.role == "learn" and len(d.shape) == 2]
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
                "Stack the columns of a matrix into one vector; the derivative by a matrix is then an ordinary Jacobian matrix.",
            ),
            lines[0].sides[0],
            lines[0].sides[1],
            tuple(lines),
            claims=tuple(claims),
        )
    ]
