"""From parse trees to expressions: what each name means is looked up, what each product and superscript means follows from shapes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import sympy as sp
from lark import Token, Tree

from derive.language.access import Parts, access_parts, array_access, runs_over_time
from derive.language.calls import application, as_call, function_head
from derive.language.errors import BadSyntax, RangeError, ShapeMismatch, TooLarge, join_names
from derive.language.expression import (
    ONE, Access, Add, Condition, Derivative, Divides, Expression, Guard, Hadamard, Identity, Inner, Integer, Kronecker, Negative, Number,
    OrderedProduct, Power, Product, Quotient, SizeValue, Span, Sum, Transpose, Within, index, substitute_indices, walk,
)  # fmt: skip
from derive.language.printer import expression_source
from derive.language.reading import Node
from derive.language.context import Reading, Context
from derive.language.shapes import SCALAR, Known, combine, describe, fits, multiplied
from derive.language.whole import MAX_EXPONENT, exponents, inside, number, product_parts, signed_terms, whole

HOLE = sp.Dummy("rows", integer=True, positive=True)
"""The size of an identity written just I, until its neighbours tell it."""


def read(node: Node, context: Context) -> Reading:
    """The expression that ``node`` stands for and its shape."""
    node = inside(node)
    return READERS[str(node.data)](node, context)


def made(expression: Expression, shapes: list[Known], context: Context) -> Reading:
    """``expression`` with the shape that follows from those of its parts."""
    return expression, combine(expression, shapes, context.arrays)


def _trees(node: Node) -> list[Node]:
    return [child for child in node.children if isinstance(child, Tree)]


def _integer(expression: Expression) -> Integer | None:
    match expression:
        case SizeValue(value=value):
            return value
        case Number(value=value) if value.denominator == 1:
            return sp.Integer(value.numerator)
    return None


def _folded(parts: list[Expression], build: Callable[..., Integer], node: Node, context: Context) -> Reading | None:
    """Sizes, indices and whole numbers only: one integer expression."""
    if not any(isinstance(part, SizeValue) for part in parts):
        return None
    values = [value for value in map(_integer, parts) if value is not None]
    return size_value(build(*values), context.place(node)) if len(values) == len(parts) else None


def size_value(value: Integer, span: Span) -> Reading:
    """An integer expression as a number."""
    value = sp.expand(value)
    if value.is_Integer:
        amount = Number(Fraction(abs(int(value))), span=span)
        return (Negative(amount, span=span) if value < 0 else amount), SCALAR
    return SizeValue(value, span=span), SCALAR


def _expression(node: Node, context: Context) -> Reading:
    terms: list[Expression] = []
    shapes: list[Known] = []
    for sign, tree in signed_terms(node):
        term, shape = read(tree, context)
        if sign == "-":
            term = _folded([term], lambda value: -value, tree, context) or (
                Negative(term, span=context.place(tree)),
                shape,
            )
            term = term[0]
        terms.append(term)
        shapes.append(shape)
    if len(terms) == 1:
        return terms[0], shapes[0]
    if folded := _folded(terms, sp.Add, node, context):
        return folded
    square = next((shape for shape in shapes if shape and len(shape) == 2), None)
    if square:
        terms = [_filled(term, square[0]) for term in terms]
        shapes = [
            shape if shape is not None or not _has_hole(term) else square
            for term, shape in zip(terms, shapes, strict=True)
        ]
    return made(Add(tuple(terms), span=context.place(node)), shapes, context)


def _filled(term: Expression, extent: Integer) -> Expression:
    return substitute_indices(term, {HOLE: extent}) if _has_hole(term) else term


def _has_hole(term: Expression) -> bool:
    return any(isinstance(part, Identity) and part.size == HOLE for part in walk(term))


def require_sizes(expression: Expression) -> None:
    """Refuse an I whose size its neighbours do not tell."""
    for part in walk(expression):
        if isinstance(part, Identity) and part.size == HOLE:
            raise BadSyntax("The size of I does not follow here.", part.span, "Write I_n for the identity of n rows.")


def _term(node: Node, context: Context) -> Reading:
    readings = [read(child, context) for child in _trees(node)]
    if len(readings) == 1:
        return readings[0]
    factors, shapes = [first for first, _ in readings], [shape for _, shape in readings]
    if SCALAR in shapes:
        return made(Product(tuple(factors), span=context.place(node)), shapes, context)
    return made(Hadamard(tuple(factors), span=context.place(node)), shapes, context)


def _product(node: Node, context: Context) -> Reading:
    parts = _with_calls(product_parts(node), context)
    total, shape = read(parts[0][1], context)
    factors: list[Expression] = [total]
    shapes: list[Known] = [shape]
    divided: Expression | None = None
    for operator, tree in parts[1:]:
        factor, factor_shape = read(tree, context)
        if operator in ("/", "./", "⊗") or (operator == "*" and shape and factor_shape):
            total = factors[0] if len(factors) == 1 else Product(tuple(factors), span=context.place(node))
        if operator in ("/", "./"):
            total, shape = made(Quotient(total, factor, span=context.place(node)), [shape, factor_shape], context)
            factors, shapes, divided = [total], [shape], factor
            continue
        if divided is not None and operator in ("", "@") and not isinstance(divided, Number):
            bottom, after = expression_source(divided), expression_source(factor)
            raise BadSyntax(
                f"Is {after} above or below the line of the fraction?",
                context.place(tree),
                f"Write … / ({bottom} {after}) or (… / {bottom}) {after}.",
            )
        divided = None
        if operator == "⊗":
            total, shape = made(Kronecker(total, factor, span=context.place(node)), [shape, factor_shape], context)
            factors, shapes = [total], [shape]
            continue
        if operator == "*" and shape and factor_shape:
            first, second = _bracketed(total), _bracketed(factor)
            raise ShapeMismatch(
                f"{first} is {describe(shape)} and {second} is {describe(factor_shape)}; * multiplies by a number.",
                context.place(node),
                f"Write {first} {second} for the matrix product or {first} .* {second} entry by entry.",
            )
        factors.append(factor)
        shapes.append(factor_shape)
        if shape is not None and not fits(shape, factor_shape):
            combine(Product(tuple(factors), span=context.place(node)), shapes, context.arrays)
        shape = multiplied(shape, factor_shape, context.arrays.guess)
    if len(factors) == 1:
        return factors[0], shape
    if folded := _folded(factors, sp.Mul, node, context):
        return folded
    return made(Product(tuple(factors), span=context.place(node)), shapes, context)


def _bracketed(expression: Expression) -> str:
    text = expression_source(expression)
    return f"({text})" if " " in text and not text.startswith("<") else text


def _with_calls(parts: list[tuple[str, Node]], context: Context) -> list[tuple[str, Node]]:
    """A function's name and the bracket after it made into one factor."""
    found: list[tuple[str, Node]] = []
    for operator, tree in parts:
        head = function_head(found[-1][1], context) if found and not operator else None
        if head and (call := as_call(head, tree)):
            found[-1] = (found[-1][0], call)
        else:
            found.append((operator, tree))
    return found


def _name(node: Node, context: Context) -> Reading:
    token = node.children[0]
    assert isinstance(token, Token)
    text = str(token)
    if text in context.values:
        return context.values[text]
    if text in context.integers:
        return size_value(context.integers[text], context.place(node))
    parts = access_parts(node)
    assert parts is not None
    return _array(parts, node, context)


def _array(parts: Parts, node: Node, context: Context) -> Reading:
    if found := array_access(parts, node, context):
        return made(found, [], context)
    text = str(parts.name)
    if text == "I" and not parts.superscripts:
        return Identity(HOLE, span=context.place(node)), None
    if text.startswith("I_") and text[2:] in context.integers:
        return made(Identity(context.integers[text[2:]], span=context.place(node)), [], context)
    if context.is_function(text):
        raise BadSyntax(f"{text} is a function.", context.place(node), f"Write its argument in brackets: {text}(z).")
    raise context.unknown(text, parts.name)


def _number(node: Node, context: Context) -> Reading:
    token = node.children[0]
    assert isinstance(token, Token)
    return Number(number(token, context), span=context.place(node)), SCALAR


def _raised(node: Node, context: Context) -> Reading:
    parts = access_parts(node)
    if parts and runs_over_time(parts, context):
        return _array(parts, node, context)
    tree, exponent = _trees(node)
    inner = exponents(exponent)
    is_name_t = len(inner) == 1 and (bare := inside(inner[0])).data == "name" and str(bare.children[0]) == "T"
    base, shape = read(tree, context)
    span = context.place(node)
    if is_name_t and (shape != SCALAR or "T" not in context.integers):
        return _transpose_of(base, shape, node, context)
    if len(inner) > 1:
        raise BadSyntax(
            "A power has one exponent.",
            context.place(exponent),
            "Only names that run over time have several superscripts.",
        )
    power, power_shape = read(inner[0], context)
    _limit(power, context, exponent)
    if shape and (degree := _integer(power)) is not None and degree.is_Integer and len(shape) == 2:
        if not 1 <= int(degree) <= 9:
            raise BadSyntax(
                f"A matrix to the power {degree} is not in the language.", span, "Powers of a matrix go from 1 to 9."
            )
        factors = (base,) * int(degree)
        return made(Product(factors, span=span), [shape] * int(degree), context) if len(factors) > 1 else (base, shape)
    if shape:
        text = _bracketed(base)
        raise ShapeMismatch(
            f"{text} is {describe(shape)} and has no power.",
            span,
            f"Write {text} .^ 2 entry by entry, or <{text}, {text}> for the sum of squares.",
        )
    return made(Power(base, power, span=span), [shape, power_shape], context)


def _limit(power: Expression, context: Context, node: Node) -> None:
    for part in walk(power):
        if isinstance(part, Number) and abs(part.value) > MAX_EXPONENT:
            raise TooLarge(
                f"The exponent is beyond {MAX_EXPONENT}.",
                context.place(node),
                "Powers this high are out of range for any number.",
            )


def _raised_each(node: Node, context: Context) -> Reading:
    tree, exponent = _trees(node)
    base, shape = read(tree, context)
    power, power_shape = read(exponents(exponent)[0], context)
    _limit(power, context, exponent)
    return made(Power(base, power, span=context.place(node)), [shape, power_shape], context)


def _transposed(node: Node, context: Context) -> Reading:
    base, shape = read(_trees(node)[0], context)
    return _transpose_of(base, shape, node, context)


def _transpose_of(base: Expression, shape: Known, node: Node, context: Context) -> Reading:
    if isinstance(base, Transpose):
        inner = base.operand
        return inner, None if shape is None else combine(Transpose(base), [shape], context.arrays)
    return made(Transpose(base, span=context.place(node)), [shape], context)


def _subscripted(node: Node, context: Context) -> Reading:
    parts = access_parts(node)
    if parts is None:
        raise BadSyntax(
            "Subscripts stand on the name of an array.",
            context.place(node),
            "Give the expression a name first, or move them inside: f(z[i]).",
        )
    return _array(parts, node, context)


def _inner(node: Node, context: Context) -> Reading:
    (left, first), (right, second) = (read(child, context) for child in _trees(node))
    return made(Inner(left, right, span=context.place(node)), [first, second], context)


def _fraction(node: Node, context: Context) -> Reading:
    (left, first), (right, second) = (read(child, context) for child in _trees(node))
    return made(Quotient(left, right, span=context.place(node)), [first, second], context)


def _derivative(node: Node, context: Context) -> Reading:
    if not context.is_answer:
        raise BadSyntax(
            "A definition does not contain derivatives.",
            context.place(node),
            "Write the model; its derivatives are derived.",
        )
    found: list[Access] = []
    for quantity in _trees(node):
        access = array_access(
            Parts(quantity.children[0], tuple(exponents(_trees(quantity)[0])) if _trees(quantity) else ()),
            quantity,
            context,
        )  # pyright: ignore[reportArgumentType]
        if access is None:
            raise context.unknown(str(quantity.children[0]), quantity)
        found.append(access)
    of, wrt = found
    shapes = [combine(access, [], context.arrays) for access in found]
    return made(Derivative(of, wrt, span=context.place(node)), shapes, context)


def _signed(node: Node, context: Context) -> Reading:
    value, shape = read(_trees(node)[0], context)
    return (Negative(value, span=context.place(node)), shape) if node.children[0] == "-" else (value, shape)


def _bracketed_after(node: Node, context: Context) -> Reading:
    tree, condition = _trees(node)
    body, shape = read(tree, context)
    return Guard((_condition(condition, context),), body, span=context.place(node)), shape


def _guard(node: Node, context: Context) -> Reading:
    condition, *rest = _trees(node)
    body, shape = read(rest[0], context) if rest else (ONE, SCALAR)
    return Guard((_condition(condition, context),), body, span=context.place(node)), shape


def _condition(node: Node, context: Context) -> Condition:
    values = [whole(child, context) for child in _trees(node)]
    match str(node.data), values:
        case "equal", [left, right]:
            return Within(left, right, right)
        case "between", [lower, value, upper]:
            return Within(value, lower, upper)
        case _, [divisor, value, *_]:
            return Divides(divisor, value)
        case _:
            raise BadSyntax("This is no condition.", context.place(node), "For example [i = j] or [1 <= t <= T].")


def _sum(node: Node, context: Context) -> Reading:
    ranges, body = _trees(node)
    found: list[tuple[Token, Node | None, Node | None]] = []
    for entry in _trees(ranges):
        name, *bounds = entry.children
        assert isinstance(name, Token)
        lower, upper = _trees(entry) if bounds else (None, None)
        found.append((name, lower, upper))
    return _sum_over(found, body, node, context)


def _sum_bounds(node: Node, context: Context) -> Reading:
    lower, end, body = _trees(node)
    name = node.children[1]
    assert isinstance(name, Token)
    upper = _trees(end)[0]
    if upper.data in ("exponent", "exponent_atom"):
        upper = exponents(upper)[0]
    return _sum_over([(name, lower, upper)], body, node, context)


def _sum_free(node: Node, context: Context) -> Reading:
    items, body = _trees(node)
    names = [inside(item) for item in _trees(items)]
    if any(name.data != "name" for name in names):
        raise BadSyntax(
            "Under a sum stand names of indices.", context.place(items), "For example sum_{i,j} or sum_{t=1}^{T}."
        )
    return _sum_over([(Token("NAME", name.children[0]), None, None) for name in names], body, node, context)


def _sum_name(node: Node, context: Context) -> Reading:
    token, body = node.children
    assert isinstance(token, Token) and isinstance(body, Tree)
    name = token.update(value=token.split("_")[1].strip())
    return _sum_over([(name, None, None)], body, node, context)


def _sum_over(
    ranges: list[tuple[Token, Node | None, Node | None]], body: Node, node: Node, context: Context
) -> Reading:
    bounds: list[tuple[sp.Symbol, tuple[Integer, Integer] | None]] = []
    for name, lower, upper in ranges:
        given = (whole(lower, context), whole(upper, context)) if lower is not None and upper is not None else None
        context = context.with_index(name)
        bounds.append((index(str(name)), given))
    value, shape = read(body, context)
    for bound, given in reversed(bounds):
        lower, upper = (
            given or index_range(bound, value, context.place(node), context) or (sp.Integer(0), sp.Integer(0))
        )
        value = Sum(bound, lower, upper, value, span=context.place(node))
    return value, shape


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
        raise RangeError(
            f"{bound} indexes {accesses}, whose ranges differ.", span, f"Say which: {bound} = lower..upper."
        )
    if found:
        return next(iter(found))
    if context.strict:
        message = f"The range of {bound} does not follow from any access such as W[{bound}, …]."
        raise RangeError(message, span, f"Say which: {bound} = lower..upper.")
    return None


def _ordered(node: Node, context: Context) -> Reading:
    name = next(child for child in node.children if isinstance(child, Token) and child.type == "NAME")
    first, direction, last, body = _trees(node)
    descending = str(direction.children[0]) == "down"
    start, stop = whole(first, context), whole(last, context)
    value, shape = read(body, context.with_index(name))
    return made(
        OrderedProduct(index(str(name)), start, stop, value, descending, span=context.place(node)), [shape], context
    )


def _call(node: Node, context: Context) -> Reading:
    return application(node, context, read)


def _arguments(node: Node, context: Context) -> Reading:
    raise BadSyntax(
        "A list in brackets follows the name of a function.", context.place(node), "Write <a, b> for the inner product."
    )


READERS: dict[str, Callable[[Node, Context], Reading]] = {
    "expression": _expression,
    "term": _term,
    "product": _product,
    "open_product": _product,
    "name": _name,
    "number": _number,
    "group": lambda node, context: read(node, context),
    "arguments": _arguments,
    "inner": _inner,
    "fraction": _fraction,
    "derivative": _derivative,
    "raised": _raised,
    "raised_each": _raised_each,
    "primed": _transposed,
    "transposed": _transposed,
    "subscripted": _subscripted,
    "bracketed": _bracketed_after,
    "guard": _guard,
    "signed": _signed,
    "sum": _sum,
    "sum_bounds": _sum_bounds,
    "sum_free": _sum_free,
    "sum_name": _sum_name,
    "ordered": _ordered,
    "call": _call,
}
"""What each rule of the grammar means."""
