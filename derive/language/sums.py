"""Sums, products in an order and conditions, with the range of an index found from the axes that it indexes."""

from __future__ import annotations

import sympy as sp
from lark import Token

from derive.language.axes import shared_range
from derive.language.context import Context, Reader, Reading, Rule, made
from derive.language.errors import BadSyntax, RangeError, join_names
from derive.language.expression import (
    ONE,
    Access,
    Add,
    Apply,
    Condition,
    Divides,
    Expression,
    Guard,
    Integer,
    LogSumExp,
    Negative,
    OrderedProduct,
    Span,
    Sum,
    Within,
    index,
    is_size,
    substitute_indices,
    walk,
)  # fmt: skip
from derive.language.printer import expression_source
from derive.language.reading import Node, first, subtrees, word
from derive.language.shapes import SCALAR
from derive.language.whole import exponents, inside, whole


def _bracketed_after(node: Node, context: Context, read: Reader) -> Reading:
    tree, condition = subtrees(node)
    body, shape = read(tree, context)
    inner, body = (body.conditions, body.body) if isinstance(body, Guard) else ((), body)
    return Guard((*inner, read_condition(condition, context)), body, span=context.place(node)), shape


def _guard(node: Node, context: Context, read: Reader) -> Reading:
    condition, *rest = subtrees(node)
    body, shape = read(rest[0], context) if rest else (ONE, SCALAR)
    # One guard for conditions that follow each other, so that printing and reading give it back.
    inner, body = (body.conditions, body.body) if isinstance(body, Guard) else ((), body)
    return Guard((read_condition(condition, context), *inner), body, span=context.place(node)), shape


def read_condition(node: Node, context: Context) -> Condition:
    """The condition that ``node`` stands for."""
    values = [whole(child, context) for child in subtrees(node)]
    match str(node.data), values:
        case "equal", [left, right]:
            return Within(left, right, right)
        case "between", [lower, value, upper]:
            return Within(value, lower, upper)
        case _, [divisor, value, *_]:
            return Divides(divisor, value)
        case _:
            raise BadSyntax("This is no condition.", context.place(node), "For example [i = j] or [1 <= t <= T].")


def _sum(node: Node, context: Context, read: Reader) -> Reading:
    return _over(node, context, read, Sum)


def _sum_bounds(node: Node, context: Context, read: Reader) -> Reading:
    lower, end, body = subtrees(node)
    name = next(token for token in node.children if isinstance(token, Token) and token.type == "NAME")
    upper = first(end)
    if upper.data in ("exponent", "exponent_atom"):
        upper = exponents(upper)[0]
    return _sum_over([(name, lower, upper)], body, node, context, read)


def _sum_free(node: Node, context: Context, read: Reader) -> Reading:
    items, body = subtrees(node)
    names = [inside(item) for item in subtrees(items)]
    if any(name.data != "name" for name in names):
        repair = "For example sum_{i,j} or sum_{t=1}^{T}."
        raise BadSyntax("Under a sum stand names of indices.", context.place(items), repair)
    return _sum_over([(word(name), None, None) for name in names], body, node, context, read)


def _sum_name(node: Node, context: Context, read: Reader) -> Reading:
    token = word(node)
    name = token.update(value=token.split("_", 1)[1].strip())
    return _sum_over([(name, None, None)], first(node), node, context, read)


def _over(node: Node, context: Context, read: Reader, kind: type[Sum] | type[LogSumExp]) -> Reading:
    ranges, body = subtrees(node)
    return _sum_over(indices_over(ranges), body, node, context, read, kind)


def indices_over(ranges: Node) -> list[tuple[Token, Node | None, Node | None]]:
    """Each index with the ends of its range, None where they are to be found from the axes that it indexes."""
    found: list[tuple[Token, Node | None, Node | None]] = []
    for entry in subtrees(ranges):
        lower, upper = subtrees(entry) or (None, None)
        found.append((word(entry), lower, upper))
    return found


def _sum_over(
    ranges: list[tuple[Token, Node | None, Node | None]],
    body: Node,
    node: Node,
    context: Context,
    read: Reader,
    kind: type[Sum] | type[LogSumExp] = Sum,
) -> Reading:
    bounds: list[tuple[sp.Symbol, tuple[Integer, Integer] | None]] = []
    for name, lower, upper in ranges:
        given = (whole(lower, context), whole(upper, context)) if lower and upper else None
        context = context.with_index(name)
        bounds.append((index(str(name)), given))
    value, shape = read(body, context)
    for bound, given in reversed(bounds):
        found = given or index_range(bound, value, context.place(node), context)
        lower, upper = found or (sp.Integer(0), sp.Integer(0))  # not known yet; the shape does not depend on it
        if kind is LogSumExp and shape:
            raise BadSyntax("logsumexp over an index takes numbers.", context.place(body), "Sum arrays by sum over.")
        value = kind(bound, lower, upper, value, span=context.place(node))
    return value, shape


def _log_sum_exp(node: Node, context: Context, read: Reader) -> Reading:
    return _over(node, context, read, LogSumExp)


def _softmax(node: Node, context: Context, read: Reader) -> Reading:
    """exp(body - logsumexp over the index of body): the index stands free on the left, and is bound inside."""
    ranges, body = subtrees(node)
    entries = subtrees(ranges)
    token = word(entries[0])
    symbol = context.integers.get(str(token))
    if len(entries) > 1 or not isinstance(symbol, sp.Symbol) or is_size(symbol):
        repair = f"Write it in an equation whose left side carries {token}, as in a^{token} = softmax over {token} of …"
        raise BadSyntax("A softmax over an index has a value for each of it.", context.place(node), repair)
    value, shape = read(body, context)
    if shape:
        raise BadSyntax("softmax over an index takes numbers.", context.place(body), "softmax(s) takes a vector.")
    ends = subtrees(entries[0])
    given = (whole(ends[0], context), whole(ends[1], context)) if ends else None
    lower, upper = given or index_range(symbol, value, context.place(node), context) or (sp.Integer(0),) * 2
    taken = {*context.integers, *context.superscripts}
    letter = index(next(name for name in (*"sukjrqlmpi", *(f"s{n}" for n in range(99))) if name not in taken))
    span = context.place(node)
    total = LogSumExp(letter, lower, upper, substitute_indices(value, {symbol: letter}), span=span)
    return Apply("exp", Add((value, Negative(total, span=span)), span=span), span=span), shape


def plain_ranges(bound: sp.Symbol, value: Expression, context: Context) -> dict[tuple[Integer, Integer], str]:
    """The ranges of the axes that ``bound`` indexes plainly, as in W[i, j], each with such an access."""
    found: dict[tuple[Integer, Integer], str] = {}
    for part in walk(value):
        if not isinstance(part, Access) or part.name not in context.superscripts:
            continue
        shape = context.arrays.shapes.get(part.name)
        for entry, extent in zip(part.subscripts, shape or (), strict=False):
            if entry == bound:
                found.setdefault((sp.Integer(0), extent - 1), expression_source(part))
        for entry, over in zip(part.superscripts, context.superscripts[part.name], strict=False):
            if entry == bound:
                found.setdefault((over.lower, over.upper), expression_source(part))
    return found


def index_range(bound: sp.Symbol, value: Expression, span: Span, context: Context) -> tuple[Integer, Integer] | None:
    """The range of an index from the axes that it indexes; None where shapes that would tell are not known yet."""
    found = plain_ranges(bound, value, context)
    if len(found) > 1:
        accesses = join_names(found.values())
        repair = f"Say which: {bound} = lower..upper."
        raise RangeError(f"{bound} indexes {accesses}, whose ranges differ.", span, repair)
    otherwise = next(iter(found), None) or shared_range(bound, value, context) or context.counted.get(bound.name)
    if otherwise:
        return otherwise
    if context.strict:
        message = f"The range of {bound} does not follow from any access such as W[{bound}, …]."
        raise RangeError(message, span, f"Say which: {bound} = lower..upper.")
    return None


def _ordered(node: Node, context: Context, read: Reader) -> Reading:
    name = next(child for child in node.children if isinstance(child, Token) and child.type == "NAME")
    begin, direction, end, body = subtrees(node)
    descending = word(direction) == "down"
    start, stop = whole(begin, context), whole(end, context)
    value, shape = read(body, context.with_index(name))
    product = OrderedProduct(index(str(name)), start, stop, value, descending, span=context.place(node))
    return made(product, [shape], context)


SUMS: dict[str, Rule] = {
    "sum": _sum,
    "sum_bounds": _sum_bounds,
    "sum_free": _sum_free,
    "sum_name": _sum_name,
    "logsumexp_over": _log_sum_exp,
    "softmax_over": _softmax,
    "ordered": _ordered,
    "guard": _guard,
    "bracketed": _bracketed_after,
}
"""What each of these rules of the grammar means."""
