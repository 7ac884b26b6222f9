"""The section on what a chain does to gradients: a bound, an exact statement about volume, the example's numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp

from derive.calculus.flow import Flow, flow_expanded
from derive.calculus.structure import is_orthogonal, values_of
from derive.derivation import Derivation
from derive.evaluate import bindings, integer, scope_at, value
from derive.handout.blocks import Block, Display, Heading, Note, Paragraph, Table
from derive.handout.formula import Big, Fence, Formula, Function, Identifier, Operator, Row, paren, row, sub, sup
from derive.language import expression as ast
from derive.language.expression import Access, Expression, substitute_indices
from derive.language.functions import FUNCTIONS
from derive.language.shapes import shape_of
from derive.lesson.example import Example, number
from derive.notation import formula, integer_formula, plain_name


def norm_section(flow: Flow, derivation: Derivation, example: Example) -> list[Block]:
    """The bound by singular values, what it does and does not say, and the example's own numbers."""
    names = derivation.names
    last, k = formula(ast.SizeValue(flow.model.range.upper), names), plain_name(flow.earlier.name)
    chain = flow.chain(flow.model.range.upper, flow.earlier)
    norm = _norm(formula(ast.Derivative(chain.of, chain.wrt), names), grow=True)
    bound = norm_bound(flow.factor, flow, derivation)
    blocks: list[Block] = [Heading("What the chain does to gradients", id=f"norms-{flow.state.name}")]
    steps = Row((last, Operator("-"), k))
    if bound is None:
        blocks.append(
            Paragraph(
                (
                    "The factors of this chain depend on the trajectory, so no bound follows from the parameters ",
                    "alone. What is always true: the ",
                    "norm of the product is at most the product of the norms of its factors.",
                )
            )
        )
    else:
        formula_, gammas = bound
        turning = _orthogonal_factor(flow, derivation)
        if turning is None:
            of_matrices: tuple[str | Formula, ...] = (
                "that of another matrix is its largest singular value ",
                sub("sigma", Function("max")),
            )
        else:
            of_matrices = (formula(turning, names), " is orthogonal, so all its singular values are 1")
        blocks.append(
            Paragraph(
                (
                    "The spectral norm of a product is at most the product of the spectral norms. The norm of ",
                    "a diagonal matrix of slopes is its largest slope, at most ",
                    *gammas,
                    "; ",
                    *of_matrices,
                    ". Hence",
                )
            )
        )
        base = formula_ if isinstance(formula_, Identifier) else paren(formula_)
        blocks.append(Display(row(norm, "<=", sup(base, steps)), f"bound-{flow.state.name}"))
        if turning is not None:
            blocks += [*_of_orthogonal(turning, flow, derivation), *_volume(flow, derivation)]
            return [*blocks, *_measured(flow, derivation, example)]
        blocks.append(
            Note(
                "What this says, and what it does not",
                (
                    "If the number in the bracket is below 1, the gradient vanishes in every direction and on every ",
                    "trajectory, at least that fast; two runs on the same inputs from different initial states then ",
                    "approach each other (the echo state property). ",
                    "If it is above 1, nothing follows: the bound allows growth but does not cause it, because ",
                    "slopes may be small and because the ",
                    "directions that one factor stretches need not be those the next one stretches. Two matrices ",
                    "with the same singular values can have ",
                    "opposite fates.",
                ),
            )
        )
        blocks += _volume(flow, derivation)
    blocks += _measured(flow, derivation, example)
    return blocks


def _orthogonal_factor(flow: Flow, derivation: Derivation) -> Access | None:
    """The matrix of a step J U that is orthogonal whatever the parameters are; None where there is none."""
    match flow.factor:
        case ast.Product(factors=(Access(), Access() as second)):
            values = values_of(derivation.system.program)
            return second if is_orthogonal(second, values, flow.scope) else None
        case _:
            return None


def _of_orthogonal(turning: Access, flow: Flow, derivation: Derivation) -> list[Block]:
    """What an orthogonal matrix decides about gradients, and what it leaves to the slopes."""
    program, names = derivation.forward, derivation.names
    matrix = formula(turning, names)
    functions = [program_name for _, program_name in program.functions]
    exact = "With the identity as function every singular value of the chain is exactly 1."
    if functions == ["identity"]:
        exact = "Here every slope is 1: every singular value of the chain is exactly 1, for any number of steps."
    return [
        Note(
            "What this says, and what it does not",
            (
                "Where no slope is above 1, gradients cannot explode, whatever is learnt. This is an upper bound: ",
                matrix,
                " turns a gradient without changing its length, but a slope below 1 shortens what it multiplies. ",
                exact,
            ),
        )
    ]


def _norm(body: Formula, grow: bool = False) -> Formula:
    return Fence("||", body, "||", grow)


Bound = tuple[Formula, tuple[str | Formula, ...]]


def norm_bound(factor: Expression, flow: Flow, derivation: Derivation) -> Bound | None:
    """A bound of the one-step matrix's spectral norm in σ_max of parameters, and what stands for the slopes."""
    gammas: dict[str, tuple[str | Formula, ...]] = {}
    definitions = {e.target.name: e for e in flow.definitions}
    values = values_of(derivation.system.program)

    def visit(node: Expression) -> list[Formula] | None:
        match node:
            case Access(name=name) if name in definitions and isinstance(definitions[name].value, ast.Diagonal):
                slope = definitions[name].value
                assert isinstance(slope, ast.Diagonal)
                return [_gamma(slope.vector, derivation, gammas)]
            case Access() if is_orthogonal(node, values, flow.scope):
                return []
            case Access(name=name) if flow.scope[name].role != "defined" and len(flow.scope[name].shape) == 2:
                return [row(sub("sigma", Function("max")), paren(formula(node, derivation.names)))]
            case Access(name=name) if flow.scope[name].role != "defined" and not flow.scope[name].shape:
                return [Fence("|", formula(node, derivation.names), "|")]
            case ast.Number(value=number_):
                return [] if abs(number_) == 1 else [formula(ast.Number(abs(number_)), derivation.names)]
            case ast.Identity():
                return []
            case ast.Negative(operand=operand) | ast.Transpose(operand=operand):
                return visit(operand)
            case ast.Product(factors=factors):
                parts = [visit(one) for one in factors]
                return (
                    None
                    if any(part is None for part in parts)
                    else [x for part in parts if part is not None for x in part]
                )
            case ast.Add(terms=terms) if not _is_scalar_sum(node, flow):
                parts = [visit(one) for one in terms]
                if any(part is None for part in parts):
                    return None
                rows = [_row_of(part) for part in parts if part is not None]
                pieces: list[Formula] = []
                for item in rows:
                    pieces += [Operator("+"), item] if pieces else [item]
                return [Row(tuple(pieces))]
            case ast.Add():
                return [Fence("|", formula(node, derivation.names), "|")]
            case _:
                return None

    found = visit(factor)
    if found is None or not gammas:
        return None
    words: list[str | Formula] = []
    for number_, item in enumerate(gammas.values()):
        words += ([", "] if number_ else []) + list(item)
    return _row_of(found), tuple(words)


def _is_scalar_sum(node: ast.Add, flow: Flow) -> bool:
    return not shape_of(node, flow.scope)


def _row_of(parts: Sequence[Formula]) -> Formula:
    return parts[0] if len(parts) == 1 else Row(tuple(parts)) if parts else formula(ast.ONE)


def _gamma(vector: Expression, derivation: Derivation, gammas: dict[str, tuple[str | Formula, ...]]) -> Formula:
    assert isinstance(vector, ast.Apply)
    name = vector.function
    bound = dict(derivation.forward.functions).get(name, name)
    steepest = FUNCTIONS[bound].steepest if bound in FUNCTIONS else None
    letter = Identifier("gamma")
    told: tuple[str | Formula, ...] = (letter,)
    if steepest is not None:
        told = (row(letter, "=", number(steepest)), f" for {bound}")
    gammas[name] = told
    return letter


def _volume(flow: Flow, derivation: Derivation) -> list[Block]:
    """The exact statement for a chain of factors J U: logarithms of singular values add up."""
    match flow.factor:
        case ast.Product(factors=(Access(name=first), Access(name=second))) if flow.scope[second].role != "defined":
            is_turning = _orthogonal_factor(flow, derivation) is not None
        case ast.Product(factors=(Access(name=first), Access(name=second))) if _orthogonal_factor(flow, derivation):
            is_turning = True
        case _:
            return []
    names = derivation.names
    definitions = {e.target.name: e for e in flow.definitions}
    diagonal = definitions[first].value
    if not isinstance(diagonal, ast.Diagonal) or not isinstance(diagonal.vector, ast.Apply):
        return []
    slope = diagonal.vector
    assert isinstance(slope.argument, Access)
    k, last = flow.earlier, flow.model.range.upper
    j = ast.index("j")
    entry = Access(slope.argument.name, (j,), (ast.index("i"),))
    chain = flow.chain(last, k)
    log = Function("ln")
    sigma = sub("sigma", "i")
    left = row(
        Big("sum", formula(ast.SizeValue(ast.index("i")))),
        log,
        sigma,
        paren(formula(ast.Derivative(chain.of, chain.wrt), names), grow=True),
    )
    steps = paren(integer_formula(last), "-", plain_name(k.name))
    of_matrix = (steps, Big("sum", plain_name("i")), log, sigma, paren(formula(Access(second), names)), "+")
    right = row(
        *(() if is_turning else of_matrix),
        Big("sum", row(plain_name("j"), "=", plain_name(k.name), "+", 1), integer_formula(last)),
        Big("sum", plain_name("i")),
        log,
        Fence("|", formula(ast.Apply(slope.function, entry, 1), names), "|"),
    )
    return [
        Paragraph(
            (
                "What is exact for every matrix, activation and input is the volume: the determinant of a product is ",
                "the product of the ",
                "determinants, so the logarithms of all singular values together obey",
            )
        ),
        Display(row(left, "=", right), f"volume-{flow.state.name}"),
    ]


def _measured(flow: Flow, derivation: Derivation, example: Example) -> list[Block]:
    """Singular values of the chain in the worked example."""
    program = derivation.program
    scope = scope_at(program, example.results, example.sizes, bindings(derivation.forward))
    high = integer(flow.model.range.upper, example.sizes)
    low = integer(flow.model.range.lower, example.sizes) - 1
    factor = flow_expanded(flow, flow.factor)
    product: np.ndarray | None = None
    rows = []
    for k in range(high - 1, low - 1, -1):
        one = np.atleast_2d(value(substitute_indices(factor, {flow.time: sp.Integer(k + 1)}), scope))
        product = one if product is None else product @ one
        singular = np.linalg.svd(product, compute_uv=False)
        of, wrt = (Access(flow.state.name, (sp.Integer(t),)) for t in (high, k))
        cells = tuple((number(float(s)),) for s in (singular[0], singular[-1]))
        above, below = formula(of, derivation.names), formula(wrt, derivation.names)
        rows.append(((row("partial", above, "/", "partial", below),), *cells))
    return [
        Table(
            (("Chain",), ("Largest singular value",), ("Smallest singular value",)),
            tuple(rows),
            ("The chain of the worked example below, measured.",),
            f"measured-{flow.state.name}",
            "lrr",
        )
    ]
