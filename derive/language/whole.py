"""Literals and whole numbers: ``t - 1``, ``s*i + d*a - p``, ``floor(n / 2)``, never made by evaluating text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import sympy as sp
from lark import Token, Tree

from derive.language.bounds import least
from derive.language.context import Context
from derive.language.errors import BadSyntax, TooLarge
from derive.language.expression import Expression, Integer, Negative, Number, SizeValue, Span
from derive.language.printer import integer_source
from derive.language.reading import Node, first, subtrees, word

MAX_DIGITS = 64
MAX_EXPONENT = 1000
MAX_TERMS = 100

TRIVIAL = frozenset({"expression", "expression_line", "term", "product", "whole", "group"})
"""Nodes that mean their only child where they have just one."""


def inside(node: Node, rules: frozenset[str] = TRIVIAL) -> Node:
    """``node`` without the brackets and the rules that add nothing."""
    while node.data in rules and len(node.children) == 1:
        node = first(node)
    return node


def bare_name(node: Node) -> str:
    """The name that ``node`` is, '' where it is more than a name."""
    node = inside(node)
    return str(word(node)) if node.data == "name" else ""


def size_value(value: Integer, span: Span) -> Expression:
    """An integer expression as a number."""
    value = sp.expand(value)
    if value.is_Integer:
        amount = Number(Fraction(abs(int(value))), span=span)
        return Negative(amount, span=span) if value < 0 else amount
    return SizeValue(value, span=span)


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
        *before, last = subtrees(node)
        operator = str(word(before.pop())) if before and before[-1].data == "operator" else ""
        found.append((operator, last))
        if not before or before[-1].data != "product":
            found += [("", part) for part in reversed(before)]
            break
        node = before[-1]
    return found[::-1]


def signed_terms(node: Node) -> Iterator[tuple[int, Node]]:
    """The terms of an expression, each with the number of minus signs before it."""
    minuses = 0
    for child in node.children:
        if isinstance(child, Tree):
            yield minuses, child
            minuses = 0
        else:
            minuses += child == "-"


def whole(node: Node, context: Context) -> Integer:
    """The integer expression that ``node`` stands for."""
    value = quotient(node, context)
    if not is_whole(value):
        message = f"{integer_source(value)} need not be a whole number."
        raise BadSyntax(message, context.place(node), "Round it: floor(a / b), or ceil(a / b).")
    return value


def quotient(node: Node, context: Context) -> Integer:
    """The number that ``node`` stands for, made of whole ones by + - * and /."""
    node = inside(node)
    rule = _WHOLE.get(str(node.data))
    if rule is None:
        raise _no_integer(node, context)
    return rule(node, context)


def is_whole(value: Integer) -> bool:
    """``value`` is an integer for all sizes and indices: outside floor and ceil it has no quotient."""
    if isinstance(value, sp.Rational):
        return bool(value.is_Integer)
    if isinstance(value, sp.Pow):
        return bool(value.exp.is_Integer and value.exp.is_positive) and is_whole(value.base)
    is_rounded = isinstance(value, sp.floor | sp.ceiling | sp.Symbol)
    return is_rounded or all(is_whole(part) for part in value.args if isinstance(part, sp.Expr))


def _no_integer(node: Node, context: Context) -> BadSyntax:
    return BadSyntax(
        "Here stands a whole number made of sizes and indices.",
        context.place(node),
        "For example t - 1, 2*i + a, or n.",
    )


def _expression(node: Node, context: Context) -> Integer:
    terms = [quotient(term, context) * (-1) ** minuses for minuses, term in signed_terms(node)]
    if len(terms) > MAX_TERMS:
        raise _too_long(node, context)
    return sp.Add(*terms)


def _too_long(node: Node, context: Context) -> TooLarge:
    repair = "Give the product a name of its own under sizes."
    return TooLarge(f"This whole number has more than {MAX_TERMS} terms.", context.place(node), repair)


def _term(node: Node, context: Context) -> Integer:
    if len(node.children) != 1:
        raise _no_integer(node, context)
    return quotient(first(node), context)


def _product(node: Node, context: Context) -> Integer:
    parts = product_parts(node)
    head = parts[0][1]
    if len(parts) == 2 and (name := bare_name(head)) in _CALLS and name not in context.integers and not parts[1][0]:
        return _CALLS[name](subtrees(parts[1][1]), context, node)
    value: Integer = sp.Integer(1)
    position = 0
    while position < len(parts):
        operator, part = parts[position]
        if operator not in ("", "*", "/"):
            raise _no_integer(node, context)
        name, following = bare_name(part), parts[position + 1 : position + 2]
        if name in _CALLS and name not in context.integers and following and not following[0][0]:
            factor = _CALLS[name](subtrees(following[0][1]), context, node)
            position += 1
        else:
            factor = quotient(part, context)
        position += 1
        is_quotient = operator == "/"
        value = value / _divisor(factor, part, context) if is_quotient else _times(value, factor, node, context)
    return value


def _divisor(value: Integer, node: Node, context: Context) -> Integer:
    """``value``, known to be at least 1 whatever the sizes are."""
    bound = least(value)
    if bound is None or bound < 1:
        text = integer_source(value)
        is_certain = value.is_zero or text == "0"
        message = (
            "Nothing can be divided by 0." if is_certain else f"{text} may be 0 or less; nothing can be divided by it."
        )
        repair = (
            f"Let it be at least 1: {text} from 1."
            if isinstance(value, sp.Symbol)
            else "Divide by a size, as in n / s."
        )
        raise BadSyntax(message, context.place(node), repair)
    return value


def _times(left: Integer, right: Integer, node: Node, context: Context) -> Integer:
    """left · right, expanded, as long as it stays short."""
    if len(sp.Add.make_args(left)) * len(sp.Add.make_args(right)) > MAX_TERMS:
        raise _too_long(node, context)
    value = left * right if left.has(*_ROUNDING) or right.has(*_ROUNDING) else sp.expand(left * right)
    powers = [part.exp for part in value.atoms(sp.Pow)]
    if any(power.is_Integer and int(power) > MAX_TERMS for power in powers):
        raise _too_long(node, context)
    return value


def _name(node: Node, context: Context) -> Integer:
    token = word(node)
    if str(token) in context.integers:
        return context.integers[str(token)]
    if context.array(str(token), False):
        raise BadSyntax(
            f"{token} is an array; here stands a whole number.", context.place(token), "Use sizes and indices."
        )
    raise context.unknown(str(token), token)


def _number(node: Node, context: Context) -> Integer:
    token = word(node)
    value = number(token, context)
    if value.denominator != 1:
        raise _no_integer(node, context)
    return sp.Integer(value.numerator)


def _signed(node: Node, context: Context) -> Integer:
    return quotient(first(node), context) * (-1 if word(node) == "-" else 1)


def _raised(node: Node, context: Context) -> Integer:
    base, exponent = subtrees(node)
    power = whole(exponents(exponent)[0], context)
    if not (power.is_Integer and 0 <= int(power) <= 6):
        raise _no_integer(node, context)
    value: Integer = sp.Integer(1)
    for _ in range(int(power)):
        value = _times(value, whole(base, context), node, context)
    return value


def exponents(node: Node) -> list[Node]:
    """The expressions in a superscript."""
    if node.data == "exponent_atom":
        return [Tree("signed", node.children, node.meta)] if len(node.children) > 1 else subtrees(node)
    return subtrees(first(node))


def _rounded(function: Callable[[Integer], Integer]) -> Callable[[list[Node], Context, Node], Integer]:
    def rounded(arguments: list[Node], context: Context, node: Node) -> Integer:
        if len(arguments) != 1:
            message = "floor and ceil take a quotient of whole numbers."
            raise BadSyntax(message, context.place(node), "For example floor((n - k) / s).")
        return _bounded(function(quotient(arguments[0], context)), context, node)

    return rounded


def _extreme(function: Callable[..., Integer]) -> Callable[[list[Node], Context, Node], Integer]:
    def extreme(arguments: list[Node], context: Context, node: Node) -> Integer:
        if len(arguments) > MAX_CHOICES:
            message = f"min and max take at most {MAX_CHOICES} numbers here."
            raise TooLarge(message, context.place(node), "Give some of them a name of their own under sizes.")
        return _bounded(function(*(whole(part, context) for part in arguments)), context, node)

    return extreme


def _bounded(value: Integer, context: Context, node: Node) -> Integer:
    """``value``, in which floor, ceil, min and max are not nested so deep that SymPy takes long to compare them."""
    if _depth(value) > MAX_ROUNDINGS:
        message = f"floor, ceil, min and max stand more than {MAX_ROUNDINGS} deep in each other."
        raise TooLarge(message, context.place(node), "Give the inner ones a name of their own under sizes.")
    return value


def _depth(value: sp.Basic) -> int:
    return isinstance(value, _ROUNDING) + max((_depth(part) for part in value.args), default=0)


_ROUNDING = (sp.floor, sp.ceiling, sp.Min, sp.Max)
MAX_CHOICES = 20
MAX_ROUNDINGS = 4

_CALLS: dict[str, Callable[[list[Node], Context, Node], Integer]] = {
    "floor": _rounded(sp.floor),
    "ceil": _rounded(sp.ceiling),
    "min": _extreme(sp.Min),
    "max": _extreme(sp.Max),
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
