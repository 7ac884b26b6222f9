"""Solving ``s^t = A^t s^{t-1} + b^t``: the closed form as a sum of ordered products, and its proof by induction.

    s^T = (A^T ⋯ A^1) s^0 + Σ_{k=1}^{T} (A^T ⋯ A^{k+1}) b^k

Every line of the proof is made from the line before by one rewriting rule, and ``normal`` brings both to one form to
check it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from derive.calculus.chain import free_letter, product_of_steps
from derive.calculus.stages import free_indices
from derive.calculus.symbols import replaced, symbols_in
from derive.calculus.tidy import tidy, zero_like
from derive.language import expression as ast
from derive.language.expression import Expression, Integer
from derive.language.shapes import shape_of
from derive.language.system import Scope


@dataclass(frozen=True)
class Recurrence:
    """``state(t) = factor(t) state(t-1) + source(t)`` for t = lower … last; the three are expressions in ``time``."""

    time: sp.Symbol
    lower: Integer
    last: Integer
    state: Expression
    factor: Expression
    source: Expression
    scope: Scope

    def state_at(self, position: Integer) -> Expression:
        """The state at one time."""
        return ast.substitute_indices(self.state, {self.time: sp.sympify(position)})

    def factor_at(self, position: Integer) -> Expression:
        """The matrix that multiplies the state before."""
        return ast.substitute_indices(self.factor, {self.time: sp.sympify(position)})

    def source_at(self, position: Integer) -> Expression:
        """What is added at one time."""
        return ast.substitute_indices(self.source, {self.time: sp.sympify(position)})


@dataclass(frozen=True)
class ProofLine:
    """One line of a proof: the expression, the rule that made it from the line before, and that rule in a sentence."""

    expression: Expression
    rule: str
    reason: str


def closed_form(recurrence: Recurrence, last: Integer | None = None) -> Expression:
    """The state at ``last`` in terms of the state before the first step and of every source."""
    end = recurrence.last if last is None else sp.sympify(last)
    first = recurrence.lower
    return _plus(
        _times(_steps(recurrence, end, first - 1), recurrence.state_at(first - 1), recurrence.scope),
        _source_sum(recurrence, end, end),
    )


def _steps(recurrence: Recurrence, last: Integer, first: Integer) -> Expression:
    return product_of_steps(recurrence.factor, recurrence.time, last, first, recurrence.scope)


def _source_sum(recurrence: Recurrence, last: Integer, upper: Integer) -> Expression:
    """Σ_{k=first}^{upper} (A^last ⋯ A^{k+1}) b^k."""
    k = _free_index(recurrence, last)
    term = _times(_steps(recurrence, last, k), recurrence.source_at(k), recurrence.scope)
    return ast.Sum(k, recurrence.lower, sp.sympify(upper), term)


def _free_index(recurrence: Recurrence, last: Integer) -> sp.Symbol:
    taken = free_indices(recurrence.factor) | free_indices(recurrence.source) | symbols_in(last)
    taken -= {recurrence.time}
    return free_letter("kslq", recurrence.scope, taken)


def _times(left: Expression, right: Expression, scope: Scope) -> Expression:
    """left · right as one product, scalars of the right in front; signs stay inside, where the proof's rules look."""
    first = left.factors if isinstance(left, ast.Product) else (left,)
    return _left_times(first, right, scope)


def _plus(*terms: Expression) -> Expression:
    flat = [part for term in terms for part in (term.terms if isinstance(term, ast.Add) else (term,))]
    return ast.Add(tuple(flat))


def proof(recurrence: Recurrence) -> tuple[ProofLine, ...]:
    """The induction step: the closed form for one step fewer, put into the recurrence, is the closed form.

    The base case is the closed form after no step, where the sum is empty and the product is the identity.
    """
    last = recurrence.last
    hypothesis = closed_form(recurrence, sp.expand(last - 1))
    lines = [
        ProofLine(
            _plus(
                _times(recurrence.factor_at(last), recurrence.state_at(sp.expand(last - 1)), recurrence.scope),
                recurrence.source_at(last),
            ),
            "recurrence",
            "This is the recurrence at the last step.",
        )
    ]
    for name, rule, reason in (
        (
            "hypothesis",
            lambda e: _put_hypothesis(e, recurrence, hypothesis),
            "The closed form is assumed for one step fewer.",
        ),
        ("distribute", lambda e: distribute(e, recurrence.scope), "A matrix times a sum is the sum of the products."),
        (
            "absorb",
            lambda e: absorb(e, recurrence),
            "The new factor is the next one on the left of each ordered product.",
        ),
        (
            "join",
            lambda e: join_last(e, recurrence),
            "The last source is the missing term of the sum: an empty product is the identity.",
        ),
    ):
        lines.append(ProofLine(rule(lines[-1].expression), name, reason))
    return tuple(lines)


def is_proved(recurrence: Recurrence) -> bool:
    """The last line of the proof is the closed form, letter for letter, and all lines have one normal form."""
    lines = proof(recurrence)
    wanted = closed_form(recurrence)
    forms = {normal(line.expression, recurrence) for line in lines[1:]}
    base = tidy(_empty(closed_form(recurrence, recurrence.lower - 1), recurrence), recurrence.scope)
    return (
        lines[-1].expression == wanted
        and forms == {normal(wanted, recurrence)}
        and base == recurrence.state_at(recurrence.lower - 1)
    )


def normal(expression: Expression, recurrence: Recurrence) -> frozenset[Expression]:
    """The set of terms after distributing, absorbing factors into ordered products and joining sums."""
    spread = distribute(expression, recurrence.scope)
    joined = join_last(absorb(spread, recurrence), recurrence)
    return frozenset(joined.terms if isinstance(joined, ast.Add) else (joined,))


def _put_hypothesis(expression: Expression, recurrence: Recurrence, hypothesis: Expression) -> Expression:
    before = recurrence.state_at(sp.expand(recurrence.last - 1))
    return _everywhere(lambda node: hypothesis if node == before else node, expression)


def _everywhere(rule: Callable[[Expression], Expression], expression: Expression) -> Expression:
    return rule(ast.map_children(lambda child: _everywhere(rule, child), expression))


def distribute(expression: Expression, scope: Scope) -> Expression:
    """A (p + Σ q) becomes A p + Σ A q, for the sums a closed form is made of; sums inside a source are left alone."""
    terms = expression.terms if isinstance(expression, ast.Add) else (expression,)
    found: list[Expression] = []
    for term in terms:
        match term:
            case ast.Product(factors=(*left, ast.Add(terms=parts))) if any(_holds_products(part) for part in parts):
                found += [_left_times(tuple(left), part, scope) for part in parts]
            case _:
                found.append(term)
    return ast.Add(tuple(found)) if len(found) > 1 else found[0]


def _holds_products(expression: Expression) -> bool:
    return any(isinstance(node, ast.OrderedProduct) for node in ast.walk(expression))


def _left_times(left: tuple[Expression, ...], part: Expression, scope: Scope) -> Expression:
    """left · part as one product, scalars in front."""
    match part:
        case ast.Sum(index=bound, lower=lower, upper=upper, body=body):
            return ast.Sum(bound, lower, upper, _left_times(left, body, scope))
        case ast.Product(factors=factors):
            if not shape_of(part, scope):
                return ast.Product((*left, *factors))
            scalars = tuple(factor for factor in factors if not shape_of(factor, scope))
            return ast.Product((*scalars, *left, *(factor for factor in factors if shape_of(factor, scope))))
        case _:
            return ast.Product((*left, part))


def absorb(expression: Expression, recurrence: Recurrence) -> Expression:
    """A^T (A^{T-1} ⋯ A^{k+1}) becomes A^T ⋯ A^{k+1}."""

    def rule(node: Expression) -> Expression:
        if not isinstance(node, ast.Product):
            return node
        factors = node.factors
        for place, factor in enumerate(factors):
            if not isinstance(factor, ast.OrderedProduct) or not factor.descending:
                continue
            following = sp.expand(factor.first + 1)
            new = ast.substitute_indices(factor.body, {factor.index: following})
            beside = new.factors if isinstance(new, ast.Product) else (new,)
            start = place - len(beside)
            if start >= 0 and factors[start:place] == beside:
                longer = ast.OrderedProduct(factor.index, following, factor.last, factor.body, True)
                return ast.Product((*factors[:start], longer, *factors[place + 1 :]))
        return node

    return _everywhere(rule, expression)


def join_last(expression: Expression, recurrence: Recurrence) -> Expression:
    """Σ_{k=a}^{T-1} f(k) + f(T) becomes Σ_{k=a}^{T} f(k), an empty ordered product in f(T) being the identity."""
    if not isinstance(expression, ast.Add):
        return expression
    terms = list(expression.terms)
    for place, term in enumerate(terms):
        if not isinstance(term, ast.Sum):
            continue
        following = sp.expand(term.upper + 1)
        last = tidy(_empty(ast.substitute_indices(term.body, {term.index: following}), recurrence), recurrence.scope)
        wanted = last.terms if isinstance(last, ast.Add) else (last,)
        others = [tidy(candidate, recurrence.scope) for candidate in terms]
        if all(part in others for part in wanted):
            used = {others.index(part) for part in wanted} - {place}
            joined = ast.Sum(term.index, term.lower, following, term.body)
            return ast.Add(tuple(joined if n == place else t for n, t in enumerate(terms) if n not in used))
    return expression


def _empty(expression: Expression, recurrence: Recurrence) -> Expression:
    """Ordered products and sums without any term, written as what they are."""

    def rule(node: Expression) -> Expression:
        match node:
            case ast.OrderedProduct(first=first, last=last, body=body, descending=down):
                count = first - last + 1 if down else last - first + 1
                return _identity(body, recurrence.scope) if sp.expand(count) == 0 else node
            case ast.Sum(lower=lower, upper=upper, body=body) if sp.expand(upper - lower + 1) == 0:
                return zero_like(body, recurrence.scope)
            case _:
                return node

    return _everywhere(rule, expression)


def _identity(like: Expression, scope: Scope) -> Expression:
    shape = shape_of(like, scope)
    return ast.Identity(shape[0]) if shape else ast.ONE


def unrolled(product: ast.OrderedProduct, values: dict[sp.Symbol, Integer], scope: Scope) -> Expression:
    """The ordered product with its factors written out for given numbers of steps."""
    first, last = (replaced(end, values) for end in (product.first, product.last))
    step = -1 if product.descending else 1
    if not (isinstance(first, sp.Integer) and isinstance(last, sp.Integer)):
        raise ValueError(
            f"an ordered product from {first} to {last} has no known number of factors: give both ends as numbers"
        )
    positions = range(int(first), int(last) + step, step)
    factors = [ast.substitute_indices(product.body, {product.index: sp.Integer(p)}) for p in positions]
    return tidy(ast.Product(tuple(factors)), scope) if factors else _identity(product.body, scope)
