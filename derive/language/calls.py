"""Names before brackets: elementwise functions and their slopes, functions of arrays, losses, arrays made by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from lark import Token, Tree
from lark.tree import Meta

from derive.language.array_functions import ARRAY_FUNCTIONS
from derive.language.context import Context, Reader, Reading, Rule, made
from derive.language.errors import BadSyntax, ShapeMismatch, UnknownFunction, did_you_mean
from derive.language.expression import (
    Apply,
    Block,
    Call,
    Diagonal,
    Expression,
    Filled,
    Identity,
    Kronecker,
    Product,
    Transpose,
    Vectorised,
)  # fmt: skip
from derive.language.functions import FUNCTIONS, LOSSES
from derive.language.lines import source_of
from derive.language.printer import expression_source
from derive.language.reading import Node, first, read_tree, subtrees, word
from derive.language.shapes import SCALAR, Known, describe
from derive.language.spelling import original
from derive.language.whole import TRIVIAL, inside, whole


@dataclass(frozen=True)
class Head:
    """The name of a function with its primes."""

    node: Node
    name: Token
    order: int


def function_head(node: Node, context: Context) -> Head | None:
    """``node`` as the name of a function, possibly primed; None where it is a factor of its own."""
    order = 0
    bare = node
    while bare.data == "primed":
        order += 1
        bare = first(bare)
    if bare.data != "name" or context.is_quantity(str(word(bare))):
        return None
    return Head(node, word(bare), order)


def as_call(head: Head, node: Node) -> Node | None:
    """``node`` with the function applied to the bracket that it starts with: f before (z)^2 is f(z)^2."""
    chain: list[Node] = []
    while node.data in ("raised", "raised_each", "primed", "transposed", "subscripted", "bracketed"):
        chain.append(node)
        node = first(node)
    if node.data not in ("group", "arguments"):
        return None
    call: Node = Tree("call", [head.name, Token("ORDER", str(head.order)), node], _spread(head.node, node))
    for outer in reversed(chain):
        call = Tree(outer.data, [call, *outer.children[1:]], _spread(head.node, outer))
    return call


def takes_what_follows(head: Head, following: Node) -> bool:
    """tr A B is tr(A B) and det X is det(X); log det X is log(det X)."""
    name = NAMES_ELSEWHERE.get(str(head.name), str(head.name))
    if head.order:
        return False
    return name in PREFIXES or (name in FUNCTIONS and following.data == "call" and _stands_alone(following))


def _stands_alone(call: Node) -> bool:
    """det X, tr X, |x| and ‖x‖ need no brackets after log."""
    name = str(word(call))
    return NAMES_ELSEWHERE.get(name, name) in (*PREFIXES, "abs", "norm")


def applied(head: Head, factors: list[Node]) -> Node:
    """The function of the product of ``factors``."""
    product = factors[0]
    for factor in factors[1:]:
        product = Tree("product", [product, factor], _spread(product, factor))
    group: Node = Tree("group", [product], product.meta)
    return Tree("call", [head.name, Token("ORDER", "0"), group], _spread(head.node, group))


def _spread(start: Node, last: Node) -> Meta:
    meta = Meta()
    meta.empty = False
    meta.start_pos, meta.end_pos = start.meta.start_pos, last.meta.end_pos
    return meta


def _call(node: Node, context: Context, read: Reader) -> Reading:
    text, primes = str(word(node)), int(str(node.children[1]))
    text = text if text in context.functions else NAMES_ELSEWHERE.get(text, text)
    arguments = subtrees(first(node))
    span = context.place(node)
    if text in context.functions or text in FUNCTIONS or text in OPEN:
        _count(text, 1, arguments, node, context)
        argument, shape = read(arguments[0], context)
        if text == "log" and not primes and (matrix := _in_determinant(argument)) is not None:
            return made(Call("logdet", (matrix,), span=span), [None], context)
        return Apply(text, argument, primes, span=span), shape
    if primes:
        repair = "Primes stand on elementwise functions: f'(z)."
        raise BadSyntax(f"{text} has no derivative written with a prime.", span, repair)
    if text in ARRAY_FUNCTIONS:
        _count(text, len(ARRAY_FUNCTIONS[text].takes), arguments, node, context)
        readings = [read(argument, context) for argument in arguments]
        call = Call(text, tuple(argument for argument, _ in readings), span=span)
        return made(call, [shape for _, shape in readings], context)
    if text in LOSSES:
        return _loss(text, arguments, node, context, read)
    if text in MAKERS:
        return MAKERS[text](arguments, node, context, read)
    known = {*FUNCTIONS, *ARRAY_FUNCTIONS, *LOSSES, *MAKERS, *context.functions}
    repair = did_you_mean(text, known) or context.product_repair(text)
    repair = repair or f"Declare the array, or write: where {text} is opaque."
    raise UnknownFunction(f"There is no function or array called {text}.", context.place(word(node)), repair)


def _in_determinant(argument: Expression) -> Expression | None:
    """The matrix of det X or |det X|, whose logarithm is a function of its own: it cannot overflow."""
    match argument:
        case (
            Call(function="det", arguments=(matrix,))
            | Apply(function="abs", argument=Call(function="det", arguments=(matrix,)), order=0)
        ):
            return matrix
        case _:
            return None


def _arguments(node: Node, context: Context, read: Reader) -> Reading:
    message = "A list in brackets follows the name of a function."
    raise BadSyntax(message, context.place(node), "Write <a, b> for the inner product.")


def _count(text: str, wanted: int, arguments: list[Node], node: Node, context: Context) -> None:
    if len(arguments) != wanted:
        count = f"{wanted} argument{'s' * (wanted > 1)}"
        raise BadSyntax(f"{text} takes {count}, here stand {len(arguments)}.", context.place(node), f"Give it {count}.")


@cache
def _template(text: str) -> Node:
    source = source_of(text)
    return read_tree(source, original(text), "expression_line")


def _loss(text: str, arguments: list[Node], node: Node, context: Context, read: Reader) -> Reading:
    parameters, body = LOSSES[text]
    _count(text, len(parameters), arguments, node, context)
    readings = [read(argument, context) for argument in arguments]
    if text == "squared" and all(shape == SCALAR for _, shape in readings):
        body = "(prediction - target)^2 / 2"
    inner = replace(context, values=dict(zip(parameters, readings, strict=True)), place=lambda _: context.place(node))
    return read(_template(body), inner)


def _diagonal(arguments: list[Node], node: Node, context: Context, read: Reader) -> Reading:
    _count("diag", 1, arguments, node, context)
    vector, shape = read(arguments[0], context)
    return made(Diagonal(vector, span=context.place(node)), [shape], context)


def _vectorised(arguments: list[Node], node: Node, context: Context, read: Reader) -> Reading:
    _count("vec", 1, arguments, node, context)
    operand, shape = read(arguments[0], context)
    return made(Vectorised(operand, span=context.place(node)), [shape], context)


def _kronecker(arguments: list[Node], node: Node, context: Context, read: Reader) -> Reading:
    _count("kron", 2, arguments, node, context)
    (left, left_shape), (right, right_shape) = (read(argument, context) for argument in arguments)
    return made(Kronecker(left, right, span=context.place(node)), [left_shape, right_shape], context)


def _identity(arguments: list[Node], node: Node, context: Context, read: Reader) -> Reading:
    _count("eye", 1, arguments, node, context)
    return made(Identity(whole(arguments[0], context), span=context.place(node)), [], context)


def _zeros(arguments: list[Node], node: Node, context: Context, read: Reader) -> Reading:
    return made(Filled(0, tuple(whole(part, context) for part in arguments), span=context.place(node)), [], context)


def _ones(arguments: list[Node], node: Node, context: Context, read: Reader) -> Reading:
    return made(Filled(1, tuple(whole(part, context) for part in arguments), span=context.place(node)), [], context)


def _block(arguments: list[Node], node: Node, context: Context, read: Reader) -> Reading:
    rows: list[tuple[Expression, ...]] = []
    shapes: list[Known] = []
    for argument in arguments:
        row = inside(argument, TRIVIAL - {"group"})
        readings = [read(entry, context) for entry in (subtrees(row) if row.data in ("group", "arguments") else [row])]
        rows.append(tuple(entry for entry, _ in readings))
        shapes += [shape for _, shape in readings]
    return made(Block(tuple(rows), span=context.place(node)), shapes, context)


def _outer(arguments: list[Node], node: Node, context: Context, read: Reader) -> Reading:
    _count("outer", 2, arguments, node, context)
    (left, first_shape), (right, second_shape) = (read(argument, context) for argument in arguments)
    for vector, shape in ((left, first_shape), (right, second_shape)):
        if shape is not None and len(shape) != 1:
            message = f"{expression_source(vector)} is {describe(shape)}, and outer takes two vectors."
            raise ShapeMismatch(message, context.place(node), "For matrices there is kron(A, B).")
    row, row_shape = made(Transpose(right), [second_shape], context)
    return made(Product((left, row), span=context.place(node)), [first_shape, row_shape], context)


def _concatenation(arguments: list[Node], node: Node, context: Context, read: Reader) -> Reading:
    readings = [read(argument, context) for argument in arguments]
    block = Block(tuple((part,) for part, _ in readings), span=context.place(node))
    return made(block, [shape for _, shape in readings], context)


MAKERS: dict[str, Callable[[list[Node], Node, Context, Reader], Reading]] = {
    "diag": _diagonal,
    "vec": _vectorised,
    "kron": _kronecker,
    "eye": _identity,
    "zeros": _zeros,
    "ones": _ones,
    "block": _block,
    "outer": _outer,
    "concat": _concatenation,
}
"""Names that make an array: diag(v), vec(A), kron(A, B), eye(n), zeros(n, d), block((A, B), (C, D)), concat(a, b)."""

NAMES_ELSEWHERE = {"tr": "trace", "ln": "log", "inverse": "inv", "Tr": "trace"}
"""Other names that books and programs have for our functions."""

PREFIXES = ("trace", "det", "logdet")
"""Functions that may stand before a product without brackets, as in tr A X B."""

OPEN = frozenset(("f", "g", "phi", "psi", "sigma", "rho", "chi"))
"""Names that stand for an elementwise function nobody has named; other names are announced by 'where q is opaque'."""

CALLS: dict[str, Rule] = {"call": _call, "arguments": _arguments}
"""What each of these rules of the grammar means."""
