"""A wrong rule is seen: each mutation of a table or a rule makes the witnesses, or the check of some step, object.

A mutation that nothing objects to would mean that the rule could be wrong without anybody noticing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import pytest
import sympy as sp
from sympy.core.cache import clear_cache

from derive.calculus import (
    adjoint,
    cases,
    chain_steps,
    closed_form,
    contract,
    entries,
    explain,
    flow,
    lift,
    network,
    recurrence,
    recursion,
    shared_adjoints,
    slopes,
    tidy,
    vectorised,
    walk,
)
from derive.catalogue import load
from derive.derivation import Derivation, gradient
from derive.evaluate import EvaluationError
from derive.language import expression as ast
from derive.language.errors import ShapeMismatch
from derive.language.expression import Divides, Within
from derive.language.functions import FUNCTIONS
from derive.language.parser import parse
from derive.language.system import System
from derive.trace import Claim, Differential, Equal, StateDerivative, Step, TotalDerivative, VectorisedDerivative
from kernels.verification import check_steps, verify

WITNESSES = ["complex step", "differences"]
SQUARE = """
title  An Elman network in which every matrix is square, so that shapes give nothing away
sizes  T steps, n hidden
given  x^t in R^n for t = 1..T,  y in R
learn  W in R^(n x n),  U in R^(n x n),  v in R^n
start  h^0 = 0
for t = 1..T:
    z^t = W x^t + U h^{t-1}
    h^t = f(z^t)
end
yhat = <v, h^T>
loss = (yhat - y)^2 / 2
where  f is tanh
"""
STRIDED = """
title  A convolution with stride 2
sizes  n outputs, k taps
given  x in R^(2*n + k)
learn  w in R^k
y[i] = sum over a = 0..k-1 of w[a] * x[2*i + a] for i = 0..n-1
loss = <y, y> / 2
"""
EVERY_OTHER = """
title  Every other entry
sizes  n entries
given  x in R^(2*n)
learn  w in R
y[i] = w * x[2*i] for i = 0..n-1
loss = <y, y> / 2
"""
SCALED = """
title  Every other entry, each times a weight of its own
sizes  n entries
given  x in R^(2*n + 1)
learn  w in R^n
y[i] = w[i] * x[2*i] for i = 0..n-1
loss = <y, y> / 2
"""
WEIGHTS = """
title  Weights that are no softmax, because numerator and denominator read different vectors
sizes  n weights
given  x in R^n
learn  a in R^n, b in R^n
p = exp(a) / sum(exp(b))
loss = <p, x>
"""
CLASSES = """
title  A softmax inside
sizes  n classes
given  x in R^n,  y in R^n
learn  U in R^(n x n)
s = U x
p = softmax(s)
loss = squared(<p, y>, 1)
"""
LAG2 = (
    SQUARE.replace("start  h^0 = 0", "start  h^{-1} = 0, h^0 = 0")
    .replace("U h^{t-1}", "U h^{t-1} + V h^{t-2}")
    .replace("U in R^(n x n), ", "U in R^(n x n), V in R^(n x n), ")
)


def one_function(name: str) -> str:
    return (
        f"title  {name} of a product\nsizes  n rows\ngiven  x in R^n\nlearn  a in R^n\n"
        f"h = f(a .* x)\nloss = sum(h)\nwhere  f is {name}\n"
    )


SYSTEMS: dict[str, System] = {
    "square": parse(SQUARE),
    "strided": parse(STRIDED),
    "every other": parse(EVERY_OTHER),
    "scaled": parse(SCALED),
    "weights": parse(WEIGHTS),
    "classes": parse(CLASSES),
    "lag2": parse(LAG2),
    **{f"function {name}": parse(one_function(name)) for name in FUNCTIONS},
}


def objections(system: System) -> list[str]:
    """What the witnesses and the checks of single steps say against a derivation; empty if all is well."""
    try:
        derivation = gradient(system)
        report = verify(derivation, seed=1, witnesses=WITNESSES)
        wrong = [record.claim for record in report if not record.passed]
        if not wrong:
            checked = check_steps(derivation, seed=1)
            wrong = [key for key, records in checked.items() if not all(r.passed for r in records)]
    except (EvaluationError, ShapeMismatch) as refusal:
        return [str(refusal)]
    return wrong


@pytest.fixture(autouse=True)
def without_remembered_derivatives() -> Iterator[None]:
    """SymPy remembers derivatives; a mutation must not outlive its test."""
    clear_cache()
    yield
    clear_cache()


@pytest.mark.parametrize("name", SYSTEMS)
def test_without_a_mutation_nothing_objects(name: str):
    assert objections(SYSTEMS[name]) == []


# The table of functions -----------------------------------------------------------------------------------------------


WRONG_SLOPES = {
    f"{name} {change}": (name, wrong)
    for name, row in FUNCTIONS.items()
    for change, wrong in (
        ("scaled", row.slope * sp.Rational(1001, 1000)),
        ("negated", -row.slope),
        ("raised", row.slope + sp.Rational(1, 1000)),
    )
    if wrong != row.slope
}


@pytest.mark.parametrize("name,slope", WRONG_SLOPES.values(), ids=WRONG_SLOPES)
def test_a_wrong_slope_in_the_table_is_seen(monkeypatch: pytest.MonkeyPatch, name: str, slope: sp.Expr):
    monkeypatch.setitem(FUNCTIONS, name, replace(FUNCTIONS[name], slope=slope))
    assert objections(SYSTEMS[f"function {name}"])


# The rules ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutation:
    """In ``module``, the function ``name`` is replaced by ``wrong(the right one)``; ``system`` shows it."""

    module: Any
    name: str
    wrong: Callable[[Any], Any]
    system: str = "square"


def _without(kind: type) -> Callable[[Any], Any]:
    """Terms lose their conditions of one kind."""

    def wrong(right: Any) -> Any:
        def terms(*args: Any, **kwargs: Any) -> Any:
            return [
                replace(term, conditions=tuple(c for c in term.conditions if not isinstance(c, kind)))
                for term in right(*args, **kwargs)
            ]

        return terms

    return wrong


def _off_by_one(right: Any) -> Any:
    """Every solved delta gives the index one too high."""

    def solutions(*asked: Any) -> Any:
        return [(order, delta, bound, value + 1, needed) for order, delta, bound, value, needed in right(*asked)]

    return solutions


def _changed(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The result of the right function, changed."""
    return lambda right: lambda *args, **kwargs: change(right(*args, **kwargs))


def _instead(other: Callable[..., Any]) -> Callable[[Any], Any]:
    """Another function in place of the right one."""
    return lambda right: other


def _times_1001(value: Any) -> Any:
    return value * sp.Rational(1001, 1000)


def _swap_outer(product: Any) -> Any:
    """u vᵀ becomes v uᵀ."""
    match product:
        case ast.Product(factors=(left, ast.Transpose(operand=right))):
            return ast.Product((right, ast.Transpose(left)))
        case _:
            return product


def _reversed_product(product: Any) -> Any:
    return replace(product, first=product.last, last=product.first, descending=not product.descending)


def _shortened(product: Any) -> Any:
    return replace(product, last=product.last + 1)


def _shorter_sum(expression: Any) -> Any:
    """The first sum of an expression starts one step late."""
    terms = tuple(replace(t, lower=t.lower + 1) if isinstance(t, ast.Sum) else t for t in expression.terms)
    return replace(expression, terms=terms)


def _early_stretch(told: Any) -> Any:
    """The first stretch, a single step, is told of the step before."""
    if len(told.cases) < 2:
        return told
    first, *others = told.cases
    return replace(told, cases=(replace(first, lower=first.lower - 1, upper=first.upper - 1), *others))


def _first_only(pairs: Any) -> Any:
    return dict(list(pairs.items())[:1])


def _unguarded(right: Any) -> Any:
    """Two slopes beside one another lose all but the last factor."""
    return lambda arrays: arrays[-1]


MUTATIONS: dict[str, Mutation] = {
    # Differentiation and contraction
    "SymPy's derivative off by 1/1000": Mutation(adjoint, "partial_derivative", _changed(_times_1001)),
    "SymPy's derivative negated": Mutation(adjoint, "partial_derivative", _changed(lambda d: -d)),
    "the derivative in a linearisation off by 1/1000": Mutation(
        recurrence, "partial_derivative", _changed(_times_1001)
    ),
    "contraction forgets which step is the last": Mutation(adjoint, "contracted", _without(Within)),
    "contraction forgets the range of a window": Mutation(adjoint, "contracted", _without(Within), "scaled"),
    "contraction forgets divisibility": Mutation(adjoint, "contracted", _without(Divides), "every other"),
    "a solved delta is off by one": Mutation(contract, "_solutions", _off_by_one),
    "a solved delta of a window is off by one": Mutation(contract, "_solutions", _off_by_one, "strided"),
    "only the first term of a stage is kept": Mutation(adjoint, "contracted", _changed(lambda t: t[:1]), "classes"),
    "a bound is tightened too far": Mutation(
        contract, "_intersection", _changed(lambda bound: bound and replace(bound, upper=bound.upper - 1))
    ),
    # Matrices
    "the lifter forgets a transpose": Mutation(
        network.Edge, "matrix_from", _instead(lambda self, node: network.entry_by_entry(self.matrices))
    ),
    "the lifter transposes everything": Mutation(network.Edge, "matrix_from", _changed(ast.Transpose)),
    "the factors of an outer product are swapped": Mutation(network, "_matrix", _changed(_swap_outer)),
    "a Hadamard product becomes a sum": Mutation(
        network, "entry_by_entry", _instead(lambda a: ast.Add(tuple(a)) if len(a) > 1 else a[0])
    ),
    "a Hadamard product becomes an inner product": Mutation(
        network, "entry_by_entry", _instead(lambda a: ast.Inner(*a) if len(a) == 2 else a[0])
    ),
    "a Hadamard product loses a factor": Mutation(network, "entry_by_entry", _unguarded),
    "a scalar factor is lost": Mutation(
        lift, "_product", _changed(lambda e: ast.Product(e.factors[1:]) if isinstance(e, ast.Product) else e), "classes"
    ),
    "a softmax is forgotten where it is recognised": Mutation(
        entries.RECOGNISED, "softmax", _changed(lambda f: f and f[:-1]), "classes"
    ),
    "a softmax is recognised where there is none": Mutation(
        entries, "_differ_in_one_index", _instead(lambda total, other: entries.is_exponential(other)), "weights"
    ),
    # The walk
    "the walk forgets the last reader": Mutation(walk, "readers", _changed(lambda found: found[:-1])),
    "the walk forgets a reader in the middle": Mutation(walk, "readers", _changed(lambda f: [*f[:1], *f[2:]])),
    "the walk counts a reader twice": Mutation(walk, "readers", _changed(lambda found: [*found, found[0]])),
    "the adjoint of the loss is 2": Mutation(adjoint.Reader, "seed", _changed(lambda s: s * 2 if s == 1 else s)),
    # Signs and slopes
    "tidying loses a sign": Mutation(tidy, "scaled", _instead(lambda c, body: RIGHT_SCALED(abs(c), body))),
    "tidying loses a number": Mutation(
        tidy, "split_coefficient", _changed(lambda pair: (pair[0] / abs(pair[0] or 1), pair[1]))
    ),
    "a slope is written in the argument instead of the value": Mutation(
        slopes, "named_value", _instead(lambda applied, program: applied.argument)
    ),
    "a slope is taken one step early": Mutation(
        slopes,
        "named_value",
        _changed(lambda a: replace(a, superscripts=tuple(p - 1 for p in a.superscripts))),
    ),
    # How it is told
    "a stretch is told of another step": Mutation(recursion, "cases", _changed(_early_stretch)),
    "an adjoint's stretches are told of another step": Mutation(explain, "cases", _changed(_early_stretch)),
    "an adjoint is put in at another time": Mutation(
        shared_adjoints, "matched", _changed(lambda at: {key: value - 1 for key, value in at.items()})
    ),
    "a term counts where its condition fails": Mutation(
        cases._Guarded, "is_alive", _instead(lambda self, low, high: True)
    ),
    # The chain and its closed form
    "the chain has its factors in reversed order": Mutation(flow, "product_of_steps", _changed(_reversed_product)),
    "the chain has a factor too few": Mutation(flow, "product_of_steps", _changed(_shortened)),
    "the transposed chain keeps its order": Mutation(flow, "transpose_product", _changed(_reversed_product)),
    "the transposed chain keeps its factors": Mutation(
        flow, "transpose_product", _instead(lambda product, scope: _reversed_product(product))
    ),
    "the closed form has its factors in reversed order": Mutation(
        closed_form, "product_of_steps", _changed(_reversed_product)
    ),
    "the closed form has a factor too few": Mutation(closed_form, "product_of_steps", _changed(_shortened)),
    "the closed form starts its sum one step late": Mutation(chain_steps, "closed_form", _changed(_shorter_sum)),
    "the closed form has no source": Mutation(chain_steps, "closed_form", _changed(lambda e: e.terms[0])),
    "a recurrence forgets a Jacobian": Mutation(flow, "one_step", _changed(ast.Transpose)),
    "blocks of a stacked state are exchanged": Mutation(
        flow, "one_step", _changed(lambda b: replace(b, rows=(b.rows[0][::-1], *b.rows[1:]))), "lag2"
    ),
    "a source is left out": Mutation(
        recurrence, "_plus", _changed(lambda e: e.terms[0] if isinstance(e, ast.Add) else e)
    ),
    "the factors of a Kronecker product are exchanged": Mutation(
        vectorised,
        "_of_product",
        _changed(lambda k: replace(k, left=k.right, right=k.left) if isinstance(k, ast.Kronecker) else k),
    ),
    "vec forgets what stands on the left": Mutation(
        vectorised, "_of_product", lambda right: lambda factors, change, scope: right(factors[-2:], change, scope)
    ),
}
RIGHT_SCALED = tidy.scaled


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_wrong_rule_is_seen(monkeypatch: pytest.MonkeyPatch, name: str):
    mutation = MUTATIONS[name]
    if isinstance(mutation.module, dict):
        monkeypatch.setitem(mutation.module, mutation.name, mutation.wrong(mutation.module[mutation.name]))
    else:
        monkeypatch.setattr(mutation.module, mutation.name, mutation.wrong(getattr(mutation.module, mutation.name)))
    assert objections(SYSTEMS[mutation.system])


# The steps ------------------------------------------------------------------------------------------------------------

ELMAN = gradient(load("elman"))
TOLD = [inner for step in ELMAN.steps for inner in (step, *step.details)]


def altered(claim: Claim) -> Claim:
    """The claim with its value 1/1000 too large."""
    factor = ast.Number(Fraction(1001, 1000))
    if isinstance(claim, Equal):
        return replace(claim, right=ast.Product((factor, claim.right)))
    assert isinstance(claim, TotalDerivative | Differential | VectorisedDerivative | StateDerivative)
    return replace(claim, value=ast.Product((factor, claim.value)))


@pytest.mark.parametrize("step", TOLD, ids=lambda step: step.id)
def test_a_step_that_claims_a_wrong_value_fails_its_check(step: Step):
    """Each claim of the step altered by itself, the others left as they are."""
    for place, claim in enumerate(step.claims):
        claims = (*step.claims[:place], altered(claim), *step.claims[place + 1 :])
        derivation = Derivation(ELMAN.system, ELMAN.walk)
        derivation.__dict__["steps"] = (replace(step, claims=claims, details=()),)
        records = check_steps(derivation, seed=1)[step.id]
        assert not all(record.passed for record in records), claim
