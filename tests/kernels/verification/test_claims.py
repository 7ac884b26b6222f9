from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
import sympy as sp

from derive.calculus.stages import free_indices
from derive.catalogue import load
from derive.derivation import Derivation, gradient
from derive.evaluate import EvaluationError
from derive.evidence import Evidence
from derive.language import expression as ast
from derive.language.errors import ShapeMismatch
from derive.language.expression import Access, Expression
from derive.language.shapes import shape_of
from derive.trace import Claim, Differential, Equal, StateDerivative, Step, TotalDerivative, VectorisedDerivative
from kernels.verification import check_steps

NEARLY_ONE = ast.Number(Fraction(1001, 1000))


def with_steps(derivation: Derivation, steps: tuple[Step, ...]) -> Derivation:
    """The derivation telling other steps."""
    told = Derivation(derivation.system, derivation.walk)
    told.__dict__["steps"] = steps
    return told


def evidence_of(claim: Claim, step: Step, derivation: Derivation) -> tuple[Evidence, ...]:
    alone = replace(step, claims=(claim,), details=())
    return check_steps(with_steps(derivation, (alone,)), seed=2)[step.id]


def value_of(claim: Claim) -> Expression:
    if isinstance(claim, Equal):
        return claim.right
    assert isinstance(claim, TotalDerivative | Differential | VectorisedDerivative | StateDerivative)
    return claim.value


def claiming(claim: Claim, value: Expression) -> Claim:
    return replace(claim, right=value) if isinstance(claim, Equal) else replace(claim, value=value)


@pytest.fixture(scope="module")
def derivations() -> dict[str, Derivation]:
    return {name: gradient(load(name)) for name in ("elman", "lag2")}


def claims(derivation: Derivation) -> list[tuple[Step, Claim]]:
    steps = [inner for step in derivation.steps for inner in (step, *step.details)]
    return [(step, claim) for step in steps for claim in step.claims]


# Planted errors: each returns the wrong expression, or None where there is nothing of the kind to get wrong -----------


def _first(expression: Expression, change: Callable[[Expression], Expression | None]) -> Expression | None:
    """``expression`` with the outermost node that ``change`` changes, changed; None where it changes none."""
    changed = change(expression)
    if changed is not None:
        return changed
    done: list[Expression] = []

    def visit(child: Expression) -> Expression:
        found = None if done else _first(child, change)
        if found is None:
            return child
        done.append(found)
        return found

    whole = ast.map_children(visit, expression)
    return whole if done else None


def scaled(value: Expression, derivation: Derivation) -> Expression | None:
    return ast.Product((NEARLY_ONE, value))


def without_a_term(value: Expression, derivation: Derivation) -> Expression | None:
    def change(node: Expression) -> Expression | None:
        match node:
            case ast.Add(terms=(_, second)):
                return second
            case ast.Add(terms=(_, *others)):
                return ast.Add(tuple(others))
            case ast.Sum():
                return replace(node, lower=sp.expand(node.lower + 1))
            case _:
                return None

    return _first(value, change)


def transposed(value: Expression, derivation: Derivation) -> Expression | None:
    """A square matrix forgotten to be transposed, or transposed without need."""

    def change(node: Expression) -> Expression | None:
        if isinstance(node, ast.Transpose) and isinstance(node.operand, Access) and node.operand.name == "U":
            return node.operand
        is_square = isinstance(node, Access) and node.name == "U" and not node.subscripts
        return ast.Transpose(node) if is_square else None

    return _first(value, change)


def one_step_early(value: Expression, derivation: Derivation) -> Expression | None:
    """A value of a state or of an adjoint taken one step before."""

    def change(node: Expression) -> Expression | None:
        match node:
            case Access(name=name, superscripts=superscripts) if superscripts and name != "x":
                return replace(node, superscripts=tuple(sp.expand(time - 1) for time in superscripts))
            case _:
                return None

    return _first(value, change)


def swapped(value: Expression, derivation: Derivation) -> Expression | None:
    """Two square matrices multiplied the other way round: the body of an ordered product, or its direction."""

    def change(node: Expression) -> Expression | None:
        match node:
            case ast.OrderedProduct(first=first, last=last, descending=descending):
                return replace(node, first=last, last=first, descending=not descending)
            case ast.Product(factors=(left, right, *rest)) if _are_square(left, right, derivation):
                return ast.Product((right, left, *rest))
            case _:
                return None

    return _first(value, change)


def _are_square(left: Expression, right: Expression, derivation: Derivation) -> bool:
    scope = {d.name: d for d in derivation.program.declarations}
    names = {node.name for part in (left, right) for node in ast.walk(part) if isinstance(node, Access)}
    if not names <= set(scope):
        return False
    first, second = (shape_of(part, scope) for part in (left, right))
    return first == second and len(first) == 2


PLANTED = {
    "factor 1.001": scaled,
    "a dropped term": without_a_term,
    "a transpose": transposed,
    "a shifted time": one_step_early,
    "swapped order": swapped,
}
MEANT_FOR = {
    "TotalDerivative": ["factor 1.001", "a dropped term", "a transpose", "a shifted time"],
    "StateDerivative": ["factor 1.001", "a transpose", "a shifted time", "swapped order"],
    "Differential": ["factor 1.001", "a dropped term", "a transpose", "a shifted time", "swapped order"],
    "VectorisedDerivative": ["factor 1.001", "a dropped term", "a transpose", "a shifted time", "swapped order"],
    "Equal": ["factor 1.001", "a dropped term", "a shifted time"],
}


PLANTED_ELSEWHERE = {"Counted", "Equivalent", "AdjointIdentity", "Held"}
"""What no recurrence claims: tests/derive/calculus plants errors in them, test_positions.py and test_choices.py."""


def fails(claim: Claim, step: Step, derivation: Derivation) -> bool:
    """The claim is checked and found wrong, or cannot even be evaluated."""
    try:
        records = evidence_of(claim, step, derivation)
    except (EvaluationError, ShapeMismatch, ValueError):
        return True
    return bool(records) and not all(record.passed for record in records)


def test_every_kind_of_claim_has_a_sample_with_planted_errors(derivations: dict[str, Derivation]):
    sampled = {type(claim).__name__ for derivation in derivations.values() for _, claim in claims(derivation)}
    assert sampled == set(MEANT_FOR)
    assert {kind.__name__ for kind in get_args(Claim)} - sampled == PLANTED_ELSEWHERE


@pytest.mark.parametrize("name", ["elman", "lag2"])
def test_every_claim_as_it_stands_passes(derivations: dict[str, Derivation], name: str):
    derivation = derivations[name]
    evidence = check_steps(derivation, seed=2)
    for step, _ in claims(derivation):
        assert evidence[step.id]
        assert all(record.passed and record.points > 0 for record in evidence[step.id]), step.id


@pytest.mark.parametrize(
    "kind,error", [(kind, error) for kind, errors in MEANT_FOR.items() for error in errors], ids=lambda part: part
)
def test_a_claim_with_a_planted_error_fails(derivations: dict[str, Derivation], kind: str, error: str):
    """The first claims of the kind in which the error can be made."""
    derivation = derivations["elman"]
    tried = 0
    for step, claim in claims(derivation):
        if type(claim).__name__ != kind or tried == 3:
            continue
        wrong = PLANTED[error](value_of(claim), derivation)
        if wrong is None or wrong == value_of(claim):
            continue
        tried += 1
        assert fails(claiming(claim, wrong), step, derivation), (step.id, error)
    assert tried, f"no {kind} in which to plant {error}"


def test_a_claim_about_the_wrong_array_fails(derivations: dict[str, Derivation]):
    """The gradient in U of a recurrence over two steps, given out as that in V, which has its shape."""
    derivation = derivations["lag2"]
    step, claim = next(pair for pair in claims(derivation) if pair[0].id == "gradient-U")
    assert isinstance(claim, TotalDerivative)
    assert fails(replace(claim, wrt=Access("V")), step, derivation)


def test_a_value_that_is_not_a_number_fails(derivations: dict[str, Derivation]):
    derivation = derivations["elman"]
    step, claim = next(pair for pair in claims(derivation) if pair[0].id == "gradient-v")
    zero = ast.Add((Access("yhat"), ast.Negative(Access("yhat"))))
    with np.errstate(all="ignore"):
        assert fails(claiming(claim, ast.Quotient(value_of(claim), zero)), step, derivation)


def test_evidence_is_the_same_for_the_same_seed(derivations: dict[str, Derivation]):
    first, second = (check_steps(derivations["elman"], seed=5) for _ in range(2))
    assert first == second


def test_free_indices_of_claims_are_times_or_entries(derivations: dict[str, Derivation]):
    for step, claim in claims(derivations["elman"]):
        names = {symbol.name for symbol in free_indices(value_of(claim))}
        assert all(len(name) == 1 for name in names), step.id
