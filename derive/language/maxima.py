"""The largest of several values: ``max over a = 0..R-1, b with 0 <= i + a <= n - 1 of x[i + a, b]``; shares in it."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp
from lark import Token

from derive.language.context import Context, Reader, Reading, Rule
from derive.language.errors import BadSyntax
from derive.language.expression import Integer, Maximum, Range, Share, Span, index, is_size
from derive.language.reading import Node, first, subtrees, word
from derive.language.shapes import SCALAR
from derive.language.sums import index_range, indices_over, read_condition
from derive.language.whole import whole

MAX_RANGES = 16
TIES = ("first", "split", "all")


def _maximum(node: Node, context: Context, read: Reader) -> Reading:
    *before, body = subtrees(node)
    middle = before[1:]
    span = context.place(node)
    bounds: list[tuple[sp.Symbol, tuple[Integer, Integer] | None]] = []
    for name, lower, upper in _indices(node):
        given = (whole(lower, context), whole(upper, context)) if lower and upper else None
        context = context.with_index(name)
        bounds.append((index(str(name)), given))
    if len(bounds) > MAX_RANGES:
        repair = "Take the maximum of maxima, each with a name of its own."
        raise BadSyntax(f"A maximum runs over at most {MAX_RANGES} indices.", span, repair)
    conditions = tuple(read_condition(entry, context) for part in middle for entry in subtrees(part))
    value, shape = read(body, context)
    found: list[Range] = []
    for bound, given in bounds:
        # Ends that are not known yet do not matter to the shape.
        ends = given or index_range(bound, value, span, context) or (sp.Integer(0), sp.Integer(0))
        found.append(Range(bound, *ends))
    ties = next((tie for tie in TIES if tie in str(word(node)).split()), context.ties)
    return Maximum(tuple(found), value, conditions, ties, span=span), shape


def _indices(node: Node) -> list[tuple[Token, Node | None, Node | None]]:
    """The indices of a maximum with the ends of their ranges; max_i has one without."""
    token = word(node)
    if token.type == "MAX_NAME":
        return [(token.update(value=token.split("_", 1)[1].strip()), None, None)]
    return indices_over(first(node))


def _share(node: Node, context: Context, read: Reader) -> Reading:
    """share of a in max over a = …: the a of the place is that of the equation, the other one the maximum's own."""
    places, inner = subtrees(node)
    at = tuple(whole(place, context) for place in subtrees(places))
    own = {str(name) for name, _, _ in _indices(inner)}
    free = {name: value for name, value in context.integers.items() if name not in own or _is_size(value)}
    maximum, shape = read(inner, replace(context, integers=free))
    assert isinstance(maximum, Maximum)
    span: Span = context.place(node)
    if shape:
        raise BadSyntax("A share is one in a maximum of numbers.", span, "Write the body as an entry, h[k, i].")
    if len(at) != len(maximum.ranges):
        count = len(maximum.ranges)
        raise BadSyntax(f"The maximum runs over {count} indices, here stand {len(at)}.", span, "Give one for each.")
    return Share(maximum, at, span=span), SCALAR


def _is_size(value: Integer) -> bool:
    return not isinstance(value, sp.Symbol) or is_size(value)


MAXIMA: dict[str, Rule] = {"maximum": _maximum, "share": _share}
"""What each of these rules of the grammar means."""
