"""The sizes that count outputs, derived: the last position of a window, an inequality, a division, and one more."""

from __future__ import annotations

import re
from collections.abc import Iterator

import sympy as sp

from derive.calculus.symbols import coefficient_of, symbols_in
from derive.language import expression as ast
from derive.language.expression import Expression, Integer, Within
from derive.language.system import Count, Program, Range
from derive.trace import Claim, Counted, Equivalent, Line, Sentence, Step

SIZE_STEP = "size-"
"""How the ids of these steps begin."""


def size_steps(program: Program) -> Iterator[Step]:
    """A step for each counted size; the components of one, O_1 and O_2, together."""
    groups: dict[str, list[Count]] = {}
    for count in program.counts:
        groups.setdefault(re.sub(r"_\d+$", "", count.name), []).append(count)
    formulas = {symbol.name: (symbol, formula) for symbol, formula in program.derived}
    for stem, counts in groups.items():
        yield _step(f"{SIZE_STEP}{stem}", [(count, *formulas[count.name]) for count in counts])


def _step(name: str, sizes: list[tuple[Count, sp.Symbol, Integer]]) -> Step:
    lines: list[Line] = []
    claims: list[Claim] = []
    for count, symbol, formula in sizes:
        for low, high in count.inequalities:
            lesser, greater = grouped(low), grouped(high)
            moved, last = _last(count.index, lesser, greater)
            said = tuple(_at_most(*pair) for pair in ((lesser, greater), moved, (count.index, last)))
            lines.append(Line(tuple(ast.Guard((side,), ast.ONE) for side in dict.fromkeys(said))))
            claims += [Equivalent((said[0],), (side,), _range(count)) for side in dict.fromkeys(said[1:])]
        lines.append(Line((ast.SizeValue(symbol), ast.SizeValue(_told(count, formula)))))
        claims.append(Counted(symbol, count.index, count.inequalities, formula))
    count, symbol, formula = sizes[0]
    return Step(
        name,
        ("How large ", ast.SizeValue(symbol), " is"),
        "count",
        _reason(count),
        ast.SizeValue(symbol),
        ast.SizeValue(formula),
        tuple(lines),
        claims=tuple(claims),
    )


def _reason(count: Count) -> Sentence:
    index = ast.SizeValue(count.index)
    (lesser, greater), *others = [(grouped(low), grouped(high)) for low, high in count.inequalities]
    words: list[str | Expression] = [
        "Output ", index, " exists where its last position ", ast.SizeValue(lesser), " is at most ",
        ast.SizeValue(greater),
    ]  # fmt: skip
    for low, high in others:
        words += [", and where ", ast.SizeValue(low), " is at most ", ast.SizeValue(high)]
    words += [". Solved for ", index, ", a whole number is at most a quotient where it is at most its floor. "]
    words += ["The least of the bounds decides. "] if others else []
    return (*words, "The outputs count from 0, so there is one more than the last of them.")


def _last(index: sp.Symbol, lesser: Integer, greater: Integer) -> tuple[tuple[Integer, Integer], Integer]:
    """c i ≤ rest, and the last i that satisfies it."""
    difference = sp.expand(greater - lesser)
    step = -coefficient_of(index, difference)
    kept = grouped(sp.expand(difference + step * index))
    last = kept if step == 1 else sp.floor(sp.Mul(kept, 1 / step, evaluate=False))
    return (sp.expand(step * index), kept), last


def _told(count: Count, formula: Integer) -> Integer:
    """The formula with its terms grouped, where one inequality makes it."""
    lasts = [_last(count.index, *pair)[1] for pair in count.inequalities]
    return lasts[0] + 1 if len(lasts) == 1 else formula


def grouped(value: Integer) -> Integer:
    """A sum with d R - d written d (R - 1).

    >>> d, R, H = sp.symbols("d R H")
    >>> grouped(H - d * R + d)
    H - d*(R - 1)
    """
    terms = list(sp.Add.make_args(sp.expand(value)))
    for symbol in sorted(symbols_in(value), key=str):
        alone = [term for term in terms if term in (symbol, -symbol)]
        others = [term for term in terms if term.has(symbol) and term not in alone and not isinstance(term, sp.Pow)]
        if len(alone) != 1 or len(others) != 1:
            continue
        (single,), (product,) = alone, others
        sign = -1 if product.could_extract_minus_sign() else 1
        inner = sp.Add(*(sign * term / symbol for term in (product, single)))
        if sp.expand(inner * symbol * sign - product - single) == 0 and not inner.has(symbol):
            kept = [term for term in terms if term not in (single, product)]
            return grouped(sp.Add(*kept)) + sign * sp.Mul(symbol, inner, evaluate=False)
    return value


def _at_most(lesser: Integer, greater: Integer) -> Within:
    return Within(lesser, lesser, greater)


def _range(count: Count) -> tuple[Range, ...]:
    return (Range(count.index, sp.Integer(0), sp.Integer(20)),)
