"""A derivation as data: steps with what stood before and after, the rule, a reason to read aloud, claims to check."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from derive.language.expression import Access, Condition, Expression, Integer
from derive.language.system import Equation, Range, Shape


@dataclass(frozen=True)
class Equal:
    """left = right wherever both have a value, for indices in ``ranges`` where these are given."""

    left: Expression
    right: Expression
    ranges: tuple[Range, ...] = ()


@dataclass(frozen=True)
class TotalDerivative:
    """∂of/∂wrt, everything in between taken along, equals ``value``, for a scalar ``of``.

    Where ``wrt`` has subscripts, ``value`` is the entry at them; ``ranges`` are those of the indices in them, where
    they are not one index an axis. ``at`` gives sizes that have to have a certain value.
    """

    of: Access
    wrt: Access
    value: Expression
    ranges: tuple[Range, ...] = ()
    at: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Differential:
    """The first-order change of the stacked arrays ``of`` equals ``value``, whatever parameters and starts change.

    The change of an array h is the array ``d_h``.
    """

    of: tuple[Access, ...]
    value: Expression


@dataclass(frozen=True)
class VectorisedDerivative:
    """∂of/∂vec(parameter) equals the matrix ``value``; vec stacks columns."""

    of: Access
    parameter: str
    value: Expression


@dataclass(frozen=True)
class StateDerivative:
    """The Jacobian of the stacked state ``of`` with respect to the stacked earlier state ``wrt`` equals ``value``.

    The earlier state is taken as given: what came before it does not change with it.
    """

    of: tuple[Access, ...]
    wrt: tuple[Access, ...]
    value: Expression


@dataclass(frozen=True)
class Equivalent:
    """The conditions on the left all hold exactly where those on the right do, for indices in ``ranges``.

    A condition on the right is looked at only where those before it hold.
    """

    left: tuple[Condition, ...]
    right: tuple[Condition, ...]
    ranges: tuple[Range, ...]


@dataclass(frozen=True)
class AdjointIdentity:
    """⟨y(x) - y(0), g⟩ = ⟨x, x̄(g)⟩ for every x and g, all other arrays held: one map is the transpose of the other.

    ``forward`` makes y from the array ``wrt``, ``backward`` makes x̄ from ``cotangent``, the array g.
    """

    forward: Equation
    backward: Equation
    wrt: str
    cotangent: str


@dataclass(frozen=True)
class Counted:
    """The size is how many ``index`` = 0, 1, 2, … satisfy every inequality lesser ≤ greater, and equals ``value``."""

    size: sp.Symbol
    index: sp.Symbol
    inequalities: tuple[tuple[Integer, Integer], ...]
    value: Integer


@dataclass(frozen=True)
class Held:
    """The array ``name``, a choice, stays the same for every small change of the inputs."""

    name: str


Claim = (
    Equal
    | TotalDerivative
    | Differential
    | VectorisedDerivative
    | StateDerivative
    | Equivalent
    | AdjointIdentity
    | Counted
    | Held
)

Sentence = tuple[str | Expression, ...]
"""Words and formulas in the order they are read."""


@dataclass(frozen=True)
class Line:
    """One displayed equation: left = middle = … = right, and for which times it holds."""

    sides: tuple[Expression, ...]
    where: Sentence = ()


@dataclass(frozen=True)
class ProofStep:
    """One line of a proof by rewriting: equals the line before, by the rule that ``reason`` says."""

    expression: Expression
    rule: str
    reason: str


@dataclass(frozen=True)
class Step:
    """One move of a derivation.

    ``before`` and ``after`` are the two sides the rule connects; ``lines`` is what a reader is shown; ``reason`` is one
    sentence; ``claims`` say what has to hold; ``details`` are the smaller moves it is made of; ``proof`` has the lines
    of a proof by induction.
    """

    id: str
    title: Sentence
    rule: str
    reason: Sentence
    before: Expression
    after: Expression
    lines: tuple[Line, ...]
    shapes: tuple[tuple[str, Shape], ...] = ()
    claims: tuple[Claim, ...] = ()
    details: tuple[Step, ...] = ()
    proof: tuple[ProofStep, ...] = ()
