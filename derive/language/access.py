"""Names with what stands above and below them: z^t[i], z_i^t, z^t_i, W_{i,j}, h^{t-1}; sizes, indices, identities."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp
from lark import Token

from derive.language.context import Context, Reader, Reading, Rule, made, subscripts_of
from derive.language.errors import BadSyntax, RangeError, ShapeMismatch
from derive.language.expression import (
    Access,
    Derivative,
    Expression,
    Identity,
    Integer,
    Number,
    Slice,
    Vectorised,
    walk,
)  # fmt: skip
from derive.language.reading import Node, first, subtrees, word
from derive.language.shapes import SCALAR, Known, combine, describe
from derive.language.whole import bare_name, exponents, number, quotient, size_value, whole

HOLE = sp.Dummy("rows", integer=True, positive=True)
"""The size of an identity written just I, until its neighbours tell it."""


@dataclass(frozen=True)
class Parts:
    """A name with what stands above and below it, not yet read."""

    name: Token
    superscripts: tuple[Node, ...] = ()
    subscripts: tuple[Node, ...] = ()


def access_parts(node: Node) -> Parts | None:
    """``node`` taken apart where it is a name with at most one group of superscripts and one of subscripts."""
    above: tuple[Node, ...] = ()
    below: tuple[Node, ...] = ()
    while node.data in ("raised", "subscripted"):
        base, marks = subtrees(node)
        if node.data == "raised":
            if above:
                return None
            above = tuple(exponents(marks))
        else:
            if below:
                return None
            below = tuple(subtrees(marks))
        node = base
    return Parts(word(node), above, below) if node.data == "name" else None


def array_access(parts: Parts, node: Node, context: Context) -> Access | None:
    """The access that ``parts`` stand for; None where the name is that of no array."""
    text = str(parts.name)
    below = tuple(quotient(part, context) for part in parts.subscripts)
    above: tuple[Integer, ...] = ()
    for part in parts.superscripts:
        value, tail = _superscript(part, context)
        above += (value,)
        below += tail
    found = _located(text, bool(above), context)
    if found is None:
        return None
    name, first = found
    below = (*first, *below)
    _check(name, text, above, below, node, context)
    return Access(name, above, below, span=context.place(node))


def runs_over_time(parts: Parts, context: Context) -> bool:
    """The name is that of an array whose superscripts are steps, so that ^T above it is no transpose."""
    found = _located(str(parts.name), True, context)
    return found is not None and bool(context.superscripts[found[0]])


def _located(text: str, has_superscripts: bool, context: Context) -> tuple[str, tuple[Integer, ...]] | None:
    """The array called ``text`` and no subscripts, or the array before the underscore with the subscripts after it."""
    name = context.array(text, has_superscripts)
    stem, _, tail = text.rpartition("_")
    if name is not None or not stem:
        return None if name is None else (name, ())
    name, found = context.array(stem, has_superscripts), subscripts_of(tail, context.integers)
    return None if name is None or found is None else (name, found)


def _superscript(node: Node, context: Context) -> tuple[Integer, tuple[Integer, ...]]:
    """z^t_i is read as z^t with the subscript i."""
    if "_" in (text := bare_name(node)) and text not in context.integers:
        stem, _, tail = text.partition("_")
        found = subscripts_of(tail, context.integers)
        if stem in context.integers and found is not None:
            return context.integers[stem], found
    return whole(node, context), ()


def _check(
    name: str, text: str, above: tuple[Integer, ...], below: tuple[Integer, ...], node: Node, context: Context
) -> None:
    ranges = context.superscripts[name]
    if len(above) != len(ranges):
        indices = ",".join(entry.index.name for entry in ranges)
        if not above:
            raise RangeError(
                f"{text} has one value for each {indices}.",
                context.place(node),
                f"Write {text}^{indices}, or the step you mean.",
            )
        raise RangeError(
            f"{text} has {len(ranges) or 'no'} superscript{'s' * (len(ranges) != 1)}, here stand {len(above)}.",
            context.place(node),
        )
    shape = context.arrays.shapes.get(name)
    if below and shape is not None and len(below) != len(shape):
        count = f"{len(below)} subscript{'s' * (len(below) > 1)}"
        repair = f"Give {len(shape)} subscripts." if shape else "A number has no subscripts."
        raise ShapeMismatch(f"{text} is {describe(shape)}, here stand {count}.", context.place(node), repair)


def require_sizes(expression: Expression) -> None:
    """Refuse an I whose size its neighbours do not tell."""
    for part in walk(expression):
        if isinstance(part, Identity) and part.size == HOLE:
            raise BadSyntax("The size of I does not follow here.", part.span, "Write I_n for the identity of n rows.")


def read_array(parts: Parts, node: Node, context: Context) -> Reading:
    """The array or the identity matrix that ``parts`` stand for."""
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


def _name(node: Node, context: Context, read: Reader) -> Reading:
    token = word(node)
    text = str(token)
    if text in context.values:
        return context.values[text]
    if text in context.integers:
        return size_value(context.integers[text], context.place(node)), SCALAR
    return read_array(Parts(token), node, context)


def _number(node: Node, context: Context, read: Reader) -> Reading:
    return Number(number(word(node), context), span=context.place(node)), SCALAR


def _subscripted(node: Node, context: Context, read: Reader) -> Reading:
    parts = access_parts(node)
    if parts is not None and not any(part.data == "span" for part in parts.subscripts):
        return read_array(parts, node, context)
    base, marks = subtrees(node)
    operand, shape = read(base, context)
    places = tuple(_place(part, shape, axis, context) for axis, part in enumerate(subtrees(marks)))
    return made(Slice(operand, places, span=context.place(node)), [shape], context)


def _place(node: Node, shape: Known, axis: int, context: Context) -> Integer | tuple[Integer, Integer]:
    """A position on an axis, or the first and the last of several."""
    if node.data != "span":
        return whole(node, context)
    first_place, last_place = (whole(part, context) for part in subtrees(node))
    if (last_place - first_place).is_negative:
        repair = "Both ends are included, as in x[2..5]."
        raise RangeError(f"The part {first_place}..{last_place} is empty.", context.place(node), repair)
    extent = shape[axis] if shape is not None and axis < len(shape) else None
    if first_place.is_negative or (extent is not None and (last_place - extent).is_nonnegative):
        repair = f"Positions run from 0 to {extent - 1}." if extent is not None else "Positions count from 0."
        raise RangeError(f"The part {first_place}..{last_place} leaves its axis.", context.place(node), repair)
    return first_place, last_place


def _derivative(node: Node, context: Context, read: Reader) -> Reading:
    if not context.is_answer:
        repair = "Write the model; its derivatives are derived."
        raise BadSyntax("A definition does not contain derivatives.", context.place(node), repair)
    of, wrt = subtrees(node)
    if of.data == "vectorised":
        raise BadSyntax("vec stands below.", context.place(of), "Write ∂loss/∂vec(W).")
    top, bottom = _quantity(of, context), _quantity(first(wrt) if wrt.data == "vectorised" else wrt, context)
    shapes = [combine(part, [], context.arrays) for part in (top, bottom)]
    if wrt.data == "vectorised":
        bottom = Vectorised(bottom, span=context.place(wrt))
        shapes[1] = combine(bottom, shapes[1:], context.arrays)
    return made(Derivative(top, bottom, span=context.place(node)), shapes, context)


def _quantity(node: Node, context: Context) -> Access:
    """What a derivative is taken of, or by: h^t, W."""
    above = tuple(part for exponent in subtrees(node) for part in exponents(exponent))
    access = array_access(Parts(word(node), above), node, context)
    if access is None:
        raise context.unknown(str(word(node)), node)
    return access


NAMES: dict[str, Rule] = {
    "name": _name,
    "number": _number,
    "subscripted": _subscripted,
    "derivative": _derivative,
}
"""What each of these rules of the grammar means."""
