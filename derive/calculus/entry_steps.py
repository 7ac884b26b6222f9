"""The reverse walk on entries: each stage in indices, its partial derivative by SymPy, and the brackets used up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy as sp

from derive.calculus.adjoint import Adjoint
from derive.calculus.contract import Term
from derive.calculus.elementwise import in_indices
from derive.calculus.entries import entry_of
from derive.calculus.lift import named_indices
from derive.calculus.symbols import replaced
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access
from derive.language.system import Equation
from derive.trace import Equal, Line, Step, TotalDerivative


def total_derivative(found: Adjoint, equation: Equation, loss: str) -> TotalDerivative:
    """What an equation of an adjoint says, in matrix form or in entries."""
    wrt = Access(found.array.name, found.array.superscripts, equation.target.subscripts)
    return TotalDerivative(Access(loss), wrt, equation.value)


def entry_steps(found: Adjoint, walk: Walk, loss: str) -> Iterable[Step]:
    """For each path: the stage in indices and its partial derivative by SymPy; then all of it contracted."""
    result = found.equation.target.name
    for number, contribution in enumerate(found.contributions, start=1):
        stage = contribution.stage
        names = [(s, s.name) for s in (*stage.superscripts, *stage.subscripts) if isinstance(s, sp.Dummy)]
        entry = _readable(Access(stage.name, stage.superscripts, stage.subscripts), names)
        body = named_indices(in_indices(Term((stage.body,)), walk.scope), names)
        by = contribution.entry
        letters = _apart([s for s in by.indices if isinstance(s, sp.Dummy)], {n for _, n in names})
        wrt = entry_of(by, walk.scope)
        below = _readable(Access(wrt.name, wrt.superscripts, wrt.subscripts), letters)
        partial = named_indices(in_indices(Term((contribution.partial,)), walk.scope), [*names, *letters])
        yield Step(
            f"detail-{result}-{number}",
            ("The stage in entries, and its partial derivative",),
            "SymPy diff",
            (
                "Written in entries every derivative is one of a scalar by a scalar; a bracket is 1 where its ",
                "condition holds, else 0.",
            ),
            entry,
            body,
            (Line((entry, body)), Line((ast.Derivative(entry, below), partial))),
            claims=(Equal(entry, body),),
        )
    target = found.index_equation.target
    yield Step(
        f"detail-{result}-contracted",
        ("The brackets used up",),
        "contraction",
        (
            "Multiplied by what flows back to the stage and summed over its entries, each bracket fixes one index of ",
            "a sum.",
        ),
        target,
        found.index_equation.value,
        (Line((target, found.index_equation.value)),),
        claims=(total_derivative(found, found.index_equation, loss),),
    )


def _readable(access: Access, names: Sequence[tuple[sp.Symbol, str]]) -> Access:
    """The access with its dummies under readable names."""
    moved: dict[sp.Symbol, sp.Expr] = {symbol: ast.index(name) for symbol, name in names}
    above, below = (tuple(replaced(p, moved) for p in places) for places in (access.superscripts, access.subscripts))
    return Access(access.name, above, below)


def _apart(symbols: Iterable[sp.Symbol], taken: set[str]) -> list[tuple[sp.Symbol, str]]:
    """Readable names for the indices one differentiates by, other than those of the stage."""
    free = [letter for letter in "abcefgmpqr" if letter not in taken]
    times = [letter for letter in "sτuw" if letter not in taken]
    named: list[tuple[sp.Symbol, str]] = []
    for symbol in symbols:
        source = times if symbol.name in taken and symbol.name not in "ijklmnop" else free
        named.append((symbol, source.pop(0)))
    return named
