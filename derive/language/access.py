"""An array with its superscripts and subscripts, in any of the ways to write them: z^t[i], z_i^t, z^t_i, W_{i,j}, h^{t-1}."""

from __future__ import annotations

from dataclasses import dataclass

from lark import Token, Tree

from derive.language.errors import RangeError, ShapeMismatch
from derive.language.expression import Access, Integer
from derive.language.reading import Node
from derive.language.context import Context, subscripts_of
from derive.language.shapes import describe
from derive.language.whole import exponents, inside, whole


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
        base, marks = node.children
        assert isinstance(base, Tree) and isinstance(marks, Tree)
        if node.data == "raised":
            if above:
                return None
            above = tuple(exponents(marks))
        else:
            if below:
                return None
            below = tuple(child for child in marks.children if isinstance(child, Tree))
        node = base
    name = node.children[0]
    return Parts(name, above, below) if node.data == "name" and isinstance(name, Token) else None


def array_access(parts: Parts, node: Node, context: Context) -> Access | None:
    """The access that ``parts`` stand for; None where the name is that of no array."""
    text = str(parts.name)
    below = tuple(whole(part, context) for part in parts.subscripts)
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
    bare = inside(node)
    if bare.data == "name" and "_" in (text := str(bare.children[0])) and text not in context.integers:
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
        count = len(below)
        raise ShapeMismatch(
            f"{text} is {describe(shape)}, and {count} subscript{'s' * (count > 1)} do{'es' * (count == 1)} not pick an entry of it.",
            context.place(node),
            f"Give {len(shape)} subscripts." if shape else "A number has no subscripts.",
        )
