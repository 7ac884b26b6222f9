"""Literals and whole-number expressions: ``t - 1``, ``s*i + d*a - p``, ``2 n``, built here and never by evaluating text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import sympy as sp
from lark import Token, Tree

from derive.language.errors import BadSyntax, TooLarge
from derive.language.expression import Integer
from derive.language.reading import Node
from derive.language.context import Context

MAX_DIGITS = 64
MAX_EXPONENT = 1000

TRIVIAL = frozenset({"expression", "expression_line", "term", "product", "whole", "group"})
"""Nodes that mean their only child where they have just one."""


def inside(node: Node) -> Node:
    """``node`` without the brackets and the rules that add nothing."""
    while node.data in TRIVIAL and len(node.children) == 1:
        child = node.children[0]
        if not isinstance(child, Tree):
            break
        node = child
    return node


def number(token: Token, context: Context) -> Fraction:
    """The literal ``token``, exactly."""
    mantissa, _, exponent = token.lower().partition("e")
    digits = sum(letter.isdigit() for letter in mantissa)
    if digits > MAX_DIGITS or len(exponent) > 4 or abs(int(exponent or 0)) + digits > MAX_DIGITS:
        raise TooLarge(
            f"The number {token[:12]}… has more than {MAX_DIGITS} digits.",
            context.place(token),
            "Write a shorter number, or a name for it.",
        )
    whole, _, fraction = mantissa.partition(".")
    value = Fraction(int((whole + fraction) or "0"), 10 ** len(fraction))
    return value * Fraction(10) ** int(exponent or 0)


def product_parts(node: Node) -> list[tuple[str, Node]]:
    """The factors of a product with the operator before each: '' for none (juxtaposition)."""
    found: list[tuple[str, Node]] = []
    while node.data in ("product", "open_product"):
        *before, last = node.children
        assert isinstance(last, Tree)
        operator = ""
        if before and isinstance(before[-1], Tree) and before[-1].data == "operator":
            operator = str(before.pop().children[0])
        found.append((operator, last))
        if not before:
            break
        if not isinstance(before[-1], Tree) or before[-1].data != "product":
            found += [("", part) for part in reversed(before) if isinstance(part, Tree)]
            break
        node = before[-1]
    return found[::-1]


def signed_terms(node: Node) -> Iterator[tuple[str, Node]]:
    """The terms of an expression, each with its sign."""
    sign = "+"
    for child in node.children:
        if isinstance(child, Tree):
            yield sign, child
            sign = "+"
        else:
            sign = str(child)


def whole(node: Node, context: Context) -> Integer:
    """The integer expression that ``node`` stands for."""
    node = inside(node)
    rule = _WHOLE.get(str(node.data))
    if rule is None:
        raise _no_integer(node, context)
    return rule(node, context)


def _no_integer(node: Node, context: Context) -> BadSyntax:
    return BadSyntax(
        "Here stands a whole number made of sizes and indices.",
        context.place(node),
        "For example t - 1, 2*i + a, or n.",
    )


def _expression(node: Node, context: Context) -> Integer:
    return sp.Add(*(whole(term, context) * (1 if sign == "+" else -1) for sign, term in signed_terms(node)))


def _term(node: Node, context: Context) -> Integer:
    if len(node.children) != 1:
        raise _no_integer(node, context)
    return whole(node.children[0], context)  # pyright: ignore[reportArgumentType]


def _product(node: Node, context: Context) -> Integer:
    parts = product_parts(node)
    head = parts[0][1]
    if len(parts) == 2 and head.data == "name" and str(head.children[0]) in _CALLS:
        arguments = [child for child in parts[1][1].children if isinstance(child, Tree)]
        return _CALLS[str(head.children[0])](arguments, context, node)
    value: Integer = sp.Integer(1)
    for operator, part in parts:
        if operator not in ("", "*"):
            raise _no_integer(node, context)
        value = value * whole(part, context)
    return sp.expand(value)


def _name(node: Node, context: Context) -> Integer:
    token = node.children[0]
    assert isinstance(token, Token)
    if str(token) in context.integers:
        return context.integers[str(token)]
    if context.array(str(token), False):
        raise BadSyntax(
            f"{token} is an array; here stands a whole number.", context.place(token), "Use sizes and indices."
        )
    raise context.unknown(str(token), token)


def _number(node: Node, context: Context) -> Integer:
    token = node.children[0]
    assert isinstance(token, Token)
    value = number(token, context)
    if value.denominator != 1:
        raise _no_integer(node, context)
    return sp.Integer(value.numerator)


def _signed(node: Node, context: Context) -> Integer:
    sign, operand = node.children
    assert isinstance(operand, Tree)
    return whole(operand, context) * (-1 if sign == "-" else 1)


def _raised(node: Node, context: Context) -> Integer:
    base, exponent = node.children
    assert isinstance(base, Tree) and isinstance(exponent, Tree)
    power = whole(exponents(exponent)[0], context)
    if not (power.is_Integer and 0 <= int(power) <= 6):
        raise _no_integer(node, context)
    return sp.expand(whole(base, context) ** power)


def exponents(node: Node) -> list[Node]:
    """The expressions in a superscript."""
    if node.data == "exponent_atom":
        *sign, atom = node.children
        assert isinstance(atom, Tree)
        return [Tree("signed", [*sign, atom], node.meta)] if sign else [atom]
    (items,) = node.children
    assert isinstance(items, Tree)
    return [child for child in items.children if isinstance(child, Tree)]


def _floor(arguments: list[Node], context: Context, node: Node) -> Integer:
    if len(arguments) == 1:
        inner = inside(arguments[0])
        parts = product_parts(inner) if inner.data == "product" else []
        if len(parts) == 2 and parts[1][0] == "/":
            return sp.floor(whole(parts[0][1], context) / whole(parts[1][1], context))
    raise BadSyntax("floor takes a quotient of whole numbers.", context.place(node), "For example floor((n - k) / s).")


_CALLS: dict[str, Callable[[list[Node], Context, Node], Integer]] = {
    "floor": _floor,
    "min": lambda arguments, context, node: sp.Min(*(whole(part, context) for part in arguments)),
    "max": lambda arguments, context, node: sp.Max(*(whole(part, context) for part in arguments)),
}

_WHOLE: dict[str, Callable[[Node, Context], Integer]] = {
    "expression": _expression,
    "term": _term,
    "product": _product,
    "name": _name,
    "number": _number,
    "signed": _signed,
    "raised": _raised,
}
