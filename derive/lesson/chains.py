"""The section about a recurrence: its chain, written out for a few steps, and its closed form with the proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import sympy as sp

from derive.calculus.closed_form import unrolled
from derive.calculus.flow import Flow
from derive.calculus.symbols import symbols_in
from derive.calculus.tidy import is_zero
from derive.derivation import Derivation
from derive.evidence import Evidence
from derive.handout.blocks import Block, Chain, Display, Heading, Paragraph, Proof, Step
from derive.handout.formula import Formula, row
from derive.language import expression as ast
from derive.language.expression import Access, Integer, substitute_indices
from derive.lesson.words import inlines
from derive.notation import Names, formula, plain_name
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
            blocks += _proof(move, derivation, evidence)
            continue
        blocks.append(step_block(move, derivation, evidence))
        if move.id.startswith("one-step-"):
            blocks += _carried_over(flow, names)
        if move.id.startswith("chain-") and "transposed" not in move.id:
            blocks += _written_out(flow, names)
        if move.id.startswith("closed-form-"):
            blocks += _told_apart(flow, derivation)
    return blocks


def _carried_over(flow: Flow, names: Names) -> list[Block]:
    """What stands in the factor beside products with parameters, and exactly how much of the chain it decides."""
    factor = next((e.value for e in flow.definitions if e.target == flow.factor), flow.factor)
    if isinstance(factor, ast.Block):
        return _carried_in_blocks(flow, factor, names)
    terms = factor.terms if isinstance(factor, ast.Add) else ()
    kept = [term for term in terms if _carries(term)]
    rest = [term for term in terms if not _carries(term)]
    if not kept or not rest or not flow.scope[flow.state.name].shape:
        return []
    path, other = (each[0] if len(each) == 1 else ast.Add(tuple(each)) for each in (kept, rest))
    words = (
        "The term ",
        formula(path, names),
        " carries the state over without a parameter matrix. Singular values of a sum differ from those of one of its ",
        "terms by at most the norm of the other (Weyl), so each singular value of this factor is within the norm of",
    )
    tail = (
        "of the one of ",
        formula(path, names),
        " that has its place in the order. Where that norm is small the factor stays near this term; where it is not, ",
        "the chain may still vanish or grow.",
    )
    return [Paragraph(words), Display(row(formula(other, names))), Paragraph(tail)]


def _carried_in_blocks(flow: Flow, factor: ast.Block, names: Names) -> list[Block]:
    """The states that one step hands on to themselves entry by entry, and the older copies of a state."""
    blocks: list[Block] = []
    parts = flow.parts_at(flow.time)
    for place, part in enumerate(parts):
        entry = factor.rows[place][place]
        if not _carries(entry):
            continue
        others = [block for at, block in enumerate(factor.rows[place]) if at != place and not is_zero(block)]
        state, path = formula(part, names), formula(entry, names)
        opening = ("On the path through ", state, " alone one step multiplies a small change by ", path, ". ")
        ending: tuple[str | Formula, ...] = (
            "Nothing else leads to ",
            state,
            ", so the product of these is exactly how ",
            state,
            " depends on its earlier values.",
        )
        if others:
            ending = (
                "The whole dependence is this product only where ",
                formula(others[0], names),
                " is zero; otherwise changes also run through the other states, and the chain may vanish or grow.",
            )
        blocks.append(Paragraph((*opening, *ending)))
    lags = [lag for _, lag in flow.model.states if lag > 1]
    if lags:
        longest = formula(ast.SizeValue(sp.Integer(max(lags))), names)
        words = (
            "The blocks I hand on older values of the state. A path that takes only the connection over ",
            longest,
            " steps meets one factor where the path step by step meets ",
            longest,
            ": it fades that many times more slowly, but at a rate all the same.",
        )
        blocks.append(Paragraph(words))
    return blocks


def _carries(term: ast.Expression) -> bool:
    """A multiple of the identity, or a diagonal matrix of anything but slopes."""
    match term:
        case ast.Identity() | ast.Diagonal():
            return True
        case ast.Product(factors=(*_, last)):
            return isinstance(last, ast.Identity)
        case _:
            return False


def _written_out(flow: Flow, names: Names) -> list[Block]:
    chain = flow.chain(flow.model.range.upper, sp.expand(flow.model.range.lower - 1))
    ends: dict[sp.Symbol, Integer] = {symbol: sp.Integer(3) for symbol in symbols_in(chain.product.first)}
    expression = unrolled(chain.product, ends, flow.scope)
    of, wrt = (substitute_indices(access, ends) for access in (chain.of, chain.wrt))
    assert isinstance(of, Access)
    assert isinstance(wrt, Access)
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
                " is the chain, the recipe for gradients to vanish or to blow up. The sum is what is often left out: ",
                "the step ",
                plain_name(flow.earlier.name),
                " changes the state by its source, and the chain from ",
                plain_name(flow.earlier.name),
                " to the end carries that change on. A parameter that is used at every step enters through every term.",
            )
        )
    ]


def _proof(move: Move, derivation: Derivation, evidence: Mapping[str, Sequence[Evidence]]) -> list[Block]:
    names = derivation.names
    left = formula(move.before, names)
    rows = tuple(("=", formula(line.expression, names), (line.reason,)) for line in move.proof)
    found: list[Block] = [Proof((Paragraph(inlines(move.reason, names)), Chain(left, rows, move.id)))]
    records = evidence.get(move.id, ())
    if records:
        worst = max(records, key=lambda record: record.error)
        words = "Every line follows from the one before by rewriting, and has the same value at random points: "
        found.append(Paragraph((words, f"{worst.witness}, largest relative error {worst.error:.0e}.")))
    return found
