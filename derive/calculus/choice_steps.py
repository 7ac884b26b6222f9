"""What is told about a maximum: which position it takes, that this choice is held, and what that makes of it."""

from __future__ import annotations

from collections.abc import Iterator

from derive.calculus.adjoint import Adjoint
from derive.calculus.choices import as_sum
from derive.calculus.symbols import symbols_in
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Integer, Maximum
from derive.language.system import Equation
from derive.trace import Claim, Equal, Held, Line, Sentence, Step

TIES: dict[str, str] = {
    "first": " is 1 where the largest entry stands, the first of several equal ones, else 0.",
    "split": " is 1 over the number of largest entries where one of them stands, else 0.",
    "all": " is 1 wherever an entry is as large as the largest one, else 0.",
}
"""What the choice is at each position, by the convention for ties."""


def choice_steps(found: Adjoint, walk: Walk, told: set[str]) -> Iterator[Step]:
    """The assumption for each maximum that reads the array, once: it adds to ``told``."""
    for contribution in found.contributions:
        for equation in walk.forward.equations:
            name = equation.target.name
            if name == contribution.stage.name and isinstance(equation.value, Maximum) and name not in told:
                told.add(name)
                yield choice_step(equation)


def choice_step(equation: Equation) -> Step:
    """y = max … = Σ [κ = a] …, with κ held."""
    maximum, target = equation.value, equation.target
    assert isinstance(maximum, Maximum)
    assert maximum.choice is not None
    total = as_sum(maximum)
    claims: list[Claim] = [Held(maximum.choice.name)]
    lines = [Line((target, maximum))]
    if maximum.ties != "all":  # with a tie these shares add up to more than 1
        lines = [Line((target, maximum, total))]
        claims.append(Equal(target, total, equation.ranges))
    return Step(
        f"choice-{target.name}",
        ("The choice of the maximum ", Access(target.name, target.superscripts)),
        "choice held",
        (
            "The largest entry of the window is ", target, ". If it changes by a little, ", target, " changes by the ",
            "same; the others do not matter, as long as the arg max stays. So the choice is held: ", maximum.choice,
            TIES[maximum.ties], *_overlap(equation),
        ),
        target,
        total,
        tuple(lines),
        claims=tuple(claims),
    )  # fmt: skip


def _overlap(equation: Equation) -> Sentence:
    """What an entry receives that several windows read."""
    maximum = equation.value
    assert isinstance(maximum, Maximum)
    window = {item.index for item in maximum.ranges}
    around = {item.index for item in equation.ranges}
    for node in ast.walk(maximum.body):
        for place in (*node.superscripts, *node.subscripts) if isinstance(node, Access) else ():
            if _is_shared(place, window, around):
                return (" Where windows overlap, an entry may be the largest of several: what they send back adds up.",)
    return ()


def _is_shared(place: Integer, window: set, around: set) -> bool:
    symbols = symbols_in(place)
    return bool(symbols & window) and bool(symbols & around)
