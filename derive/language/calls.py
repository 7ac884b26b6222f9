"""Names before brackets: elementwise functions and their derivatives, functions of arrays, losses, and the arrays made by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from lark import Token, Tree

from derive.language.errors import BadSyntax, UnknownFunction, did_you_mean
from derive.language.expression import Apply, Block, Call, Diagonal, Expression, Filled, Identity, Kronecker, Vectorised
from derive.language.functions import ARRAY_FUNCTIONS, FUNCTIONS, LOSSES
from derive.language.lines import source_of
from derive.language.reading import Node, read_tree
from derive.language.context import Reading, Context
from derive.language.shapes import SCALAR, combine
from derive.language.spelling import original
from derive.language.whole import whole

Reader = Callable[[Node, Context], Reading]


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
        bare = bare.children[0]  # pyright: ignore[reportAssignmentType]
    name = bare.children[0] if bare.data == "name" else None
    if (
        not isinstance(name, Token)
        or str(name) in context.values
        or str(name) in context.integers
        or context.array(str(name), False)
    ):
        return None
    return Head(node, name, order)


def as_call(head: Head, node: Node) -> Node | None:
    """``node`` with the function applied to the bracket that it starts with: f before (z)^2 is f(z)^2."""
    chain: list[Node] = []
    while node.data in ("raised", "raised_each", "primed", "transposed", "subscripted", "bracketed"):
        chain.append(node)
        node = node.children[0]  # pyright: ignore[reportAssignmentType]
    if node.data not in ("group", "arguments"):
        return None
    call: Node = Tree("call", [head.name, Token("ORDER", str(head.order)), node], _spread(head.node, node))
    for outer in reversed(chain):
        call = Tree(outer.data, [call, *outer.children[1:]], _spread(head.node, outer))
    return call


def _spread(first: Node, last: Node) -> object:
    meta = type(last.meta)()
    meta.empty = False
    meta.start_pos, meta.end_pos = first.meta.start_pos, last.meta.end_pos
    return meta


def application(node: Node, context: Context, read: Reader) -> Reading:
    """The value of a call."""
    name, order, bracket = node.children
    assert isinstance(name, Token) and isinstance(order, Token) and isinstance(bracket, Tree)
    text, primes = str(name), int(order)
    arguments = [child for child in bracket.children if isinstance(child, Tree)]
    span = context.place(node)
    if (
        text in context.functions
        or text in FUNCTIONS
        or (len(text) == 1 or text in _GREEK)
        and text not in ARRAY_FUNCTIONS
    ):
        _count(text, 1, arguments, node, context)
        argument, shape = read(arguments[0], context)
        return Apply(text, argument, primes, span=span), shape
    if primes:
        raise BadSyntax(
            f"{text} has no derivative written with a prime.", span, "Primes stand on elementwise functions: f'(z)."
        )
    if text in ARRAY_FUNCTIONS:
        _count(text, 1, arguments, node, context)
        argument, shape = read(arguments[0], context)
        call = Call(text, (argument,), span=span)
        return call, combine(call, [shape], context.arrays)
    if text in LOSSES:
        return _loss(text, arguments, node, context, read)
    if text in MAKERS:
        built, shapes = MAKERS[text](arguments, node, context, read)
        return built, combine(built, shapes, context.arrays)
    known = {*FUNCTIONS, *ARRAY_FUNCTIONS, *LOSSES, *MAKERS, *context.functions}
    close = did_you_mean(text, known)
    raise UnknownFunction(
        f"There is no function or array called {text}.",
        context.place(name),
        close or f"Declare the array, or write: where {text} is opaque.",
    )


def _count(text: str, wanted: int, arguments: list[Node], node: Node, context: Context) -> None:
    if len(arguments) != wanted:
        raise BadSyntax(
            f"{text} takes {wanted} argument{'s' * (wanted > 1)}, here stand {len(arguments)}.", context.place(node)
        )


@lru_cache(maxsize=None)
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


Made = tuple[Expression, list]


def _diagonal(arguments: list[Node], node: Node, context: Context, read: Reader) -> Made:
    _count("diag", 1, arguments, node, context)
    vector, shape = read(arguments[0], context)
    return Diagonal(vector, span=context.place(node)), [shape]


def _vectorised(arguments: list[Node], node: Node, context: Context, read: Reader) -> Made:
    _count("vec", 1, arguments, node, context)
    operand, shape = read(arguments[0], context)
    return Vectorised(operand, span=context.place(node)), [shape]


def _kronecker(arguments: list[Node], node: Node, context: Context, read: Reader) -> Made:
    _count("kron", 2, arguments, node, context)
    (left, first), (right, second) = (read(argument, context) for argument in arguments)
    return Kronecker(left, right, span=context.place(node)), [first, second]


def _identity(arguments: list[Node], node: Node, context: Context, read: Reader) -> Made:
    _count("eye", 1, arguments, node, context)
    return Identity(whole(arguments[0], context), span=context.place(node)), []


def _filled(value: int) -> Callable[[list[Node], Node, Context, Reader], Made]:
    def make(arguments: list[Node], node: Node, context: Context, read: Reader) -> Made:
        return Filled(value, tuple(whole(argument, context) for argument in arguments), span=context.place(node)), []

    return make


def _block(arguments: list[Node], node: Node, context: Context, read: Reader) -> Made:
    from derive.language.whole import TRIVIAL

    rows: list[tuple[Expression, ...]] = []
    shapes: list = []
    for argument in arguments:
        row = argument
        while row.data in TRIVIAL - {"group"} and len(row.children) == 1:
            row = row.children[0]  # pyright: ignore[reportAssignmentType]
        entries = row.children if row.data in ("group", "arguments") else [row]
        readings = [read(entry, context) for entry in entries if isinstance(entry, Tree)]
        rows.append(tuple(entry for entry, _ in readings))
        shapes += [shape for _, shape in readings]
    return Block(tuple(rows), span=context.place(node)), shapes


MAKERS: dict[str, Callable[[list[Node], Node, Context, Reader], Made]] = {
    "diag": _diagonal,
    "vec": _vectorised,
    "kron": _kronecker,
    "eye": _identity,
    "zeros": _filled(0),
    "ones": _filled(1),
    "block": _block,
}
"""Names that make an array: diag(v), vec(A), kron(A, B), eye(n), zeros(n, d), ones(n), block((A, B), (C, D))."""

_GREEK = frozenset(
    ("phi", "psi", "sigma", "rho", "theta", "eta", "Phi", "Psi", "alpha", "beta", "gamma", "chi", "omega")
)
"""Names of one letter; such a function may stay opaque without being announced."""
