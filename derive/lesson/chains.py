"""The section about a recurrence: its chain, written out for a few steps, and its closed form with the proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import sympy as sp

from derive.calculus.closed_form import unrolled
from derive.calculus.flow import Flow
from derive.calculus.symbols import symbols_in
from derive.derivation import Derivation
from derive.evidence import Evidence
from derive.handout.blocks import Block, Chain, Display, Heading, Paragraph, Proof, Step
from derive.handout.formula import row
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
        if move.id.startswith("chain-") and "transposed" not in move.id:
            blocks += _written_out(flow, names)
        if move.id.startswith("closed-form-"):
            blocks += _told_apart(flow, derivation)
    return blocks


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
