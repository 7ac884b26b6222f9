"""The sections about a recurrence: its chain and closed form, the case of one neuron, and what the chain does to gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import sympy as sp

from derive.calculus.chain_steps import Flow, flow_expanded
from derive.calculus.closed_form import unrolled
from derive.calculus.scalar_case import as_scalars, scalar_names, scalar_scope
from derive.calculus.tidy import tidy
from derive.derivation import Derivation
from derive.evaluate import bindings, integer, scope_at, value
from derive.evidence import Evidence
from derive.handout.blocks import Block, Chain, Display, Heading, Note, Paragraph, Proof, Step, Table
from derive.handout.formula import (
    Aligned,
    Big,
    Fence,
    Formula,
    Function,
    Identifier,
    Operator,
    Row,
    paren,
    row,
    sub,
    sup,
)
from derive.language import expression as ast
from derive.language.expression import Access, Expression, substitute_indices
from derive.language.functions import FUNCTIONS
from derive.language.shapes import shape_of
from derive.language.system import Scope
from derive.lesson.example import Example, number
from derive.lesson.words import inlines
from derive.notation import Names, formula, integer_formula, plain_name
from derive.trace import Step as Move

StepBlock = Callable[[Move, Derivation, Mapping[str, Sequence[Evidence]]], Step]


def chain_section(
    flow: Flow,
    moves: Sequence[Move],
    derivation: Derivation,
    evidence: Mapping[str, Sequence[Evidence]],
    step_block: StepBlock,
) -> list[Block]:
    """The steps about the chain, with the factors written out for a few steps and the proof line by line."""
    names = derivation.names
    state = formula(flow.state, names)
    blocks: list[Block] = [
        Heading("The Jacobian chain", id=f"chain-section-{flow.state.name}"),
        Paragraph(
            ("How does ", state, " depend on an earlier state? One step multiplies a small change by one matrix.")
        ),
    ]
    for move in moves:
        if move.proof:
            blocks += _proof(move, flow, derivation)
            continue
        blocks.append(step_block(move, derivation, evidence))
        if move.id.startswith("chain-") and "transposed" not in move.id:
            blocks += _written_out(flow, names)
        if move.id.startswith("closed-form-"):
            blocks += _told_apart(flow, derivation)
    return blocks


def _written_out(flow: Flow, names: Names) -> list[Block]:
    chain = flow.chain(flow.model.range.upper, sp.expand(flow.model.range.lower - 1))
    ends = {symbol: sp.Integer(3) for symbol in sp.sympify(chain.product.first).free_symbols}
    expression = unrolled(chain.product, ends, flow.scope)
    of, wrt = (substitute_indices(a, dict(ends)) for a in (chain.of, chain.wrt))
    assert isinstance(of, Access) and isinstance(wrt, Access)
    shown = row(formula(ast.Derivative(of, wrt), names), "=", formula(expression, names))
    return [Paragraph(("For three steps, written out:",)), Display(shown)]


def _told_apart(flow: Flow, derivation: Derivation) -> list[Block]:
    """The closed form term by term: the part that is a chain, and the rest that is often left out."""
    names = derivation.names
    k = flow.recurrence.state_at(sp.expand(flow.model.range.lower - 1))
    first = formula(k, names)
    return [
        Paragraph(
            (
                "The product in front of ",
                first,
                " is the chain, the recipe for gradients to vanish or to blow up. The sum is what is often left out: the step ",
                plain_name("k"),
                " changes the state by its source, and the chain from ",
                plain_name("k"),
                " to the end carries that change on. A parameter that is used at every step enters through every term.",
            )
        )
    ]


def _proof(move: Move, flow: Flow, derivation: Derivation) -> list[Block]:
    names = derivation.names
    left = formula(move.before, names)
    rows = tuple(("=", formula(line.expression, names), (line.reason,)) for line in move.proof)
    return [Proof((Paragraph(inlines(move.reason, names)), Chain(left, rows, move.id)))]


# One neuron ----------------------------------------------------------------------------------------------------------------------------


def scalar_section(flow: Flow, derivation: Derivation) -> list[Block]:
    """Every size taken as 1: the recurrence of the derivative by each parameter, as it is often printed."""
    if not flow.model.is_single or not flow.scope[flow.state.name].shape:
        return []
    scope = {**derivation.walk.scope, **flow.scope}
    last = flow.model.range.upper
    names = derivation.names
    renamed = scalar_names(scope)
    recurrence = flow.recurrence
    factor = as_scalars(flow_expanded(flow, flow.factor), scope)
    source = as_scalars(flow_expanded(flow, flow.source), scope)
    parameters = [n for n in dict.fromkeys(_changes(source)) if n.removeprefix("d_") in renamed.values()]
    lines: list[tuple[Formula, Formula]] = []
    for change in parameters:
        name = change.removeprefix("d_")
        of = Access(flow.state.name, (last,))
        before = Access(flow.state.name, (sp.expand(last - 1),))
        direct = _derivative_of(source, change, parameters, scalar_scope(scope))
        carried = ast.Product((factor, ast.Derivative(before, Access(name))))
        right = _factored(ast.Add((direct, carried)))
        right = substitute_indices(right, {recurrence.time: last})
        lines.append((formula(ast.Derivative(of, Access(name)), names), row("=", formula(right, names))))
    if not lines:
        return []
    loose = _loose_line(flow, derivation)
    return [
        Heading("One hidden neuron", id=f"neuron-{flow.state.name}"),
        Paragraph(
            (
                "With every size equal to 1 all arrays are numbers (matrices now in small letters), and the recurrence can be divided by the ",
                "change of one parameter:",
            )
        ),
        Display(Aligned(tuple(lines)) if len(lines) > 1 else row(*lines[0]), f"scalar-{flow.state.name}"),
        Note(
            "Common mistake",
            (
                "These lines are often printed with capital letters, as if they held for matrices",
                *loose,
                ". They do not: the derivative of a vector by a matrix is an object with three indices, and the two terms in the bracket ",
                "would have different shapes. For vectors use the differential form, or vec and the Kronecker product.",
            ),
        ),
    ]


def _loose_line(flow: Flow, derivation: Derivation) -> tuple[str | Formula, ...]:
    """The scalar line with capital letters, as slides have it; nothing where no matrix is learnt."""
    changes = [n for n in _changes(flow.source) if len(flow.scope[n.removeprefix("d_")].shape) == 2]
    if not changes:
        return ()
    name, last = changes[0].removeprefix("d_"), flow.model.range.upper
    direct = _derivative_of(flow.source, changes[0], _changes(flow.source), None)
    before = ast.Derivative(Access(flow.state.name, (sp.expand(last - 1),)), Access(name))
    whole = _factored(ast.Add((direct, ast.Product((flow.factor, before)))))
    right = substitute_indices(whole, {flow.time: last})
    left = ast.Derivative(Access(flow.state.name, (last,)), Access(name))
    return (", ", row(formula(left, derivation.names), "=", formula(right, derivation.names)))


def _changes(expression: Expression) -> list[str]:
    return [n.name for n in ast.walk(expression) if isinstance(n, Access) and n.name.startswith("d_")]


def _derivative_of(source: Expression, change: str, others: Sequence[str], scope: Scope | None) -> Expression:
    """The source with the change of one parameter 1 and of the others 0."""

    def visit(node: Expression) -> Expression:
        if isinstance(node, Access) and node.name in others:
            return ast.ONE if node.name == change else ast.ZERO
        return ast.map_children(visit, node)

    return _struck_out(visit(source)) if scope is None else tidy(visit(source), scope)


def _struck_out(expression: Expression) -> Expression:
    """Products with 0 and factors 1 gone, whatever the shapes: the careless line is careless about them."""
    inner = ast.map_children(_struck_out, expression)
    match inner:
        case ast.Product(factors=factors):
            if ast.ZERO in factors:
                return ast.ZERO
            kept = tuple(factor for factor in factors if factor != ast.ONE)
            return ast.ONE if not kept else kept[0] if len(kept) == 1 else ast.Product(kept)
        case ast.Add(terms=terms):
            left = tuple(term for term in terms if term != ast.ZERO)
            return ast.ZERO if not left else left[0] if len(left) == 1 else ast.Add(left)
        case _:
            return inner


def _factored(expression: Expression) -> Expression:
    """a x + a u y as a (x + u y): a leading factor common to all terms stands in front."""
    terms = [_factors(term) for term in (expression.terms if isinstance(expression, ast.Add) else (expression,))]
    terms = [term for term in terms if term != [ast.ZERO]]
    common: list[Expression] = []
    while all(len(term) > 1 for term in terms) and len({repr(term[0]) for term in terms}) == 1:
        common.append(terms[0][0])
        terms = [term[1:] for term in terms]
    bodies = [ast.Product(tuple(term)) if len(term) > 1 else term[0] for term in terms]
    inner = bodies[0] if len(bodies) == 1 else ast.Add(tuple(bodies))
    return ast.Product((*common, inner)) if common else inner


def _factors(term: Expression) -> list[Expression]:
    if isinstance(term, ast.Product):
        return [inner for factor in term.factors for inner in _factors(factor)]
    return [term]


# What the chain does to gradients ------------------------------------------------------------------------------------------------------


def norm_section(flow: Flow, derivation: Derivation, example: Example) -> list[Block]:
    """The bound by singular values, what it does and does not say, and the example's own numbers."""
    names = derivation.names
    last, k = formula(ast.SizeValue(flow.model.range.upper), names), plain_name("k")
    chain = flow.chain(flow.model.range.upper, ast.index("k"))
    norm = _norm(formula(ast.Derivative(chain.of, chain.wrt), names), grow=True)
    bound = norm_bound(flow.factor, flow, derivation)
    blocks: list[Block] = [Heading("What the chain does to gradients", id=f"norms-{flow.state.name}")]
    steps = Row((last, Operator("-"), k))
    if bound is None:
        blocks.append(
            Paragraph(
                (
                    "The factors of this chain depend on the trajectory, so no bound follows from the parameters alone. What is always true: the ",
                    "norm of the product is at most the product of the norms of its factors.",
                )
            )
        )
    else:
        formula_, gammas = bound
        blocks.append(
            Paragraph(
                (
                    "The spectral norm of a product is at most the product of the spectral norms. The norm of ",
                    "a diagonal matrix of slopes is its largest slope, at most ",
                    *gammas,
                    "; that of a parameter is its largest singular value ",
                    sub("sigma", Function("max")),
                    ". Hence",
                )
            )
        )
        blocks.append(Display(row(norm, "<=", sup(paren(formula_), steps)), f"bound-{flow.state.name}"))
        blocks.append(
            Note(
                "What this says, and what it does not",
                (
                    "If the number in the bracket is below 1, the gradient vanishes in every direction and on every trajectory, at least that fast. ",
                    "If it is above 1, nothing follows: the bound allows growth but does not cause it, because slopes may be small and because the ",
                    "directions that one factor stretches need not be those the next one stretches. Two matrices with the same singular values can have ",
                    "opposite fates.",
                ),
            )
        )
        blocks += _volume(flow, derivation)
    blocks += _measured(flow, derivation, example)
    return blocks


def _norm(body: Formula, grow: bool = False) -> Formula:
    return Fence("||", body, "||", grow)


Bound = tuple[Formula, tuple[str | Formula, ...]]


def norm_bound(factor: Expression, flow: Flow, derivation: Derivation) -> Bound | None:
    """An upper bound of the spectral norm of the one-step matrix in σ_max of parameters, and what stands for the largest slope."""
    gammas: dict[str, tuple[str | Formula, ...]] = {}
    definitions = {e.target.name: e for e in flow.definitions}

    def visit(node: Expression) -> list[Formula] | None:
        match node:
            case Access(name=name) if name in definitions and isinstance(definitions[name].value, ast.Diagonal):
                slope = definitions[name].value
                assert isinstance(slope, ast.Diagonal)
                return [_gamma(slope.vector, derivation, gammas)]
            case Access(name=name) if flow.scope[name].role == "learn" and len(flow.scope[name].shape) == 2:
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
        told = (row(letter, "=", formula_number(steepest)), f" for {bound}")
    gammas[name] = told
    return letter


def formula_number(value: float) -> Formula:
    """A number as it is."""
    return number(value)


def _volume(flow: Flow, derivation: Derivation) -> list[Block]:
    """The exact statement for a chain of factors J U: logarithms of singular values add up."""
    match flow.factor:
        case ast.Product(factors=(Access(name=first), Access(name=second))) if flow.scope[second].role == "learn":
            pass
        case _:
            return []
    names = derivation.names
    definitions = {e.target.name: e for e in flow.definitions}
    diagonal = definitions[first].value
    if not isinstance(diagonal, ast.Diagonal) or not isinstance(diagonal.vector, ast.Apply):
        return []
    slope = diagonal.vector
    assert isinstance(slope.argument, Access)
    k, last = ast.index("k"), flow.model.range.upper
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
    steps = paren(integer_formula(last), "-", plain_name("k"))
    right = row(
        steps,
        Big("sum", plain_name("i")),
        log,
        sigma,
        paren(formula(Access(second), names)),
        "+",
        Big("sum", row("j", "=", "k", "+", 1), integer_formula(last)),
        Big("sum", plain_name("i")),
        log,
        Fence("|", formula(ast.Apply(slope.function, entry, 1), names), "|"),
    )
    return [
        Paragraph(
            (
                "What is exact for every matrix, activation and input is the volume: the determinant of a product is the product of the ",
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
