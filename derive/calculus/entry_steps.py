"""The reverse walk on entries: each stage in indices, its partial derivative by SymPy, and the brackets used up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy as sp

from derive.calculus.adjoint import Adjoint
from derive.calculus.contract import Term
from derive.calculus.elementwise import in_indices
from derive.calculus.entries import entry_of
from derive.calculus.index_notation import Stage
from derive.calculus.letters import reserved
from derive.calculus.lift import named_indices
from derive.calculus.symbols import replaced, symbols_in
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access
from derive.language.system import Equation, Range
from derive.trace import Equal, Line, Step, TotalDerivative


def total_derivative(found: Adjoint, equation: Equation, loss: str) -> TotalDerivative:
    """What an equation of an adjoint says, in matrix form or in entries."""
    wrt = Access(found.array.name, found.array.superscripts, equation.target.subscripts)
    letters = set(equation.target.subscripts)
    entries = tuple(r for r in equation.ranges if r.index not in equation.target.superscripts)
    is_plain = all(item.index in letters for item in entries)
    return TotalDerivative(Access(loss), wrt, equation.value, () if is_plain else entries)


def entry_steps(found: Adjoint, walk: Walk, loss: str) -> Iterable[Step]:
    """For each path: the stage in indices and its partial derivative by SymPy; then all of it contracted."""
    result = found.equation.target.name
    for number, contribution in enumerate(found.contributions, start=1):
        stage = contribution.stage
        names = [(bound.index, bound.index.name) for bound in stage.bounds]
        entry = _readable(Access(stage.name, stage.superscripts, stage.subscripts), names)
        taken = reserved({d.name: d for d in walk.forward.declarations}, walk.forward.sizes)
        body = named_indices(in_indices(Term((stage.body,)), walk.scope, stage.reads), names, taken)
        by = contribution.entry
        used = {n for _, n in names} | {bound.name for bound in contribution.partial.atoms(sp.Dummy)} | taken
        wrt = entry_of(by, walk.scope)
        letters = _apart(_dummies(wrt.superscripts), _dummies(wrt.subscripts), used)
        below = _readable(Access(wrt.name, wrt.superscripts, wrt.subscripts), letters)
        own = in_indices(Term((contribution.partial,)), walk.scope, stage.reads)
        partial = named_indices(own, [*names, *letters], taken)
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
            claims=(Equal(entry, body, _ranges(stage, names)),),
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


def _ranges(stage: Stage, names: Sequence[tuple[sp.Symbol, str]]) -> tuple[Range, ...]:
    """The ranges of a stage's indices under readable names, where an axis is written in several; else none."""
    if all(isinstance(position, sp.Symbol) for position in stage.subscripts):
        return ()
    moved: dict[sp.Symbol, sp.Expr] = {symbol: ast.index(name) for symbol, name in names}
    return tuple(
        Range(ast.index(b.index.name), replaced(b.lower, moved), replaced(b.upper, moved)) for b in stage.bounds
    )


def _dummies(positions: Iterable[sp.Expr]) -> list[sp.Symbol]:
    found = (s for position in positions for s in sorted(symbols_in(position), key=str) if isinstance(s, sp.Dummy))
    return list(dict.fromkeys(found))


def _apart(above: Iterable[sp.Symbol], below: Iterable[sp.Symbol], taken: set[str]) -> list[tuple[sp.Symbol, str]]:
    """Readable names for the indices one differentiates by, other than those of the stage."""
    named: list[tuple[sp.Symbol, str]] = []
    for symbols, letters in ((above, ("s", "tau", "u", "w")), (below, tuple("abcefgmpqrhnuvwz"))):
        for symbol in symbols:
            own = [] if symbol.name in "ijklmnop" else [symbol.name]
            candidates = (*own, *letters, *(f"{letters[-1]}{number}" for number in range(1, 100)))
            used = {*taken, *(name for _, name in named)}
            named.append((symbol, next(name for name in candidates if name not in used)))
    return named
