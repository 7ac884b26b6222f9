"""Maxima as authors write them: max and argmax over a window, the bracket [κ = a] for the share of a position."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from derive.handout.formula import Fence, Formula, Function, Operator, Row, Scripts, Words, paren, row
from derive.language.expression import Access, Condition, Expression, Integer, Maximum, Range, Share, Within
from derive.language.system import Equation
from derive.notation.integers import condition_formula, integer_formula
from derive.notation.names import ChoiceNotation, Names

Part = Callable[[Expression, tuple[Range, ...]], Formula]
"""The body of a maximum, in which further indices run over ranges."""


def window_formula(ranges: Iterable[Range], conditions: Iterable[Condition]) -> Formula:
    """0 ≤ a < R, 0 ≤ b < R: what stands below max."""
    listed = list(ranges)
    written = [_span(item) for item in listed]
    written += [found for condition in conditions if (found := condition_formula(condition, listed)) is not None]
    return _listed(written)


def _span(item: Range) -> Formula:
    found = condition_formula(Within(item.index, item.lower, item.upper), [])
    return integer_formula(item.index) if found is None else found


def _listed(formulas: list[Formula]) -> Formula:
    pieces = [piece for formula in formulas for piece in (Operator(","), formula)][1:]
    return pieces[0] if len(pieces) == 1 else Row(tuple(pieces))


def maximum_formula(maximum: Maximum, part: Part, name: str = "max") -> Formula:
    """max or argmax over the window, and the body."""
    sign = Scripts(Function(name, limits=True), window_formula(maximum.ranges, maximum.conditions), None)
    return row(sign, part(maximum.body, maximum.ranges))


def share_formula(share: Share, part: Part) -> Formula:
    """How much of the maximum a position has, in words."""
    at = [integer_formula(place) for place in share.at]
    return row(Words("share of "), _place(at), Words(" in "), maximum_formula(share.maximum, part))


def _place(at: list[Formula]) -> Formula:
    return at[0] if len(at) == 1 else paren(_listed(at))


def choice_formula(access: Access, choice: ChoiceNotation, written: Callable[[Access], Formula]) -> Formula:
    """[κ_{c,i} = a] where one position is taken, else the weight κ_{c,i,a}."""
    place, at = divided(access, choice)
    if not choice.is_place:
        return written(Access(access.name, access.superscripts, (*place.subscripts, *at)))
    return Fence("[", row(written(place), "=", _place([integer_formula(value) for value in at])), "]")


def divided(access: Access, choice: ChoiceNotation) -> tuple[Access, tuple[Integer, ...]]:
    """Where the maximum stands, and the position in its window."""
    split = len(access.subscripts) - len(choice.lower)
    outer, inner = access.subscripts[:split], access.subscripts[split:]
    at = tuple(place + lower for place, lower in zip(inner, choice.lower, strict=True))
    return Access(access.name, access.superscripts, outer), at


def choice_sides(
    equation: Equation, names: Names, written: Callable[[Access], Formula], part: Part
) -> tuple[Formula, Formula, tuple[Range, ...]] | None:
    """Both sides of κ_{c,i} = argmax … and the ranges over which it holds; None for any other equation."""
    choice, share = names.choices.get(equation.target.name), equation.value
    if choice is None or not choice.is_place or not isinstance(share, Share):
        return None
    place, _ = divided(equation.target, choice)
    window = set(equation.target.subscripts[len(place.subscripts) :])
    ranges = tuple(item for item in equation.ranges if item.index not in window)
    return written(place), maximum_formula(share.maximum, part, "argmax"), ranges
