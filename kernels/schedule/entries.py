"""Whole arrays written out entry by entry: any expression at given indices becomes scalars, sums and single entries.

The result is an expression of the same language in which every Access has all its subscripts, every Product is one of
scalars, and matrix products are Sums over fresh indices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache

import sympy as sp

from derive.language import expression as ast
from derive.language.array_functions import ARRAY_FUNCTIONS
from derive.language.expression import Access, Expression, Integer
from derive.language.shapes import shape_of
from derive.language.system import Declaration, Range, Shape
from kernels.errors import CannotCompile
from kernels.schedule.integers import replaced, replaced_conditions, replaced_in

Indices = tuple[Integer, ...]
ROW_ZERO = sp.Integer(0)
NOMINAL = 32  # what a size counts for when the cheapest order of a chain of products is chosen


@dataclass
class Names:
    """Names not yet used in a program; asking for one uses it up. Equal questions in equal order get equal answers."""

    taken: set[str]
    counts: dict[str, int] = field(default_factory=dict)
    indices: int = 0

    def index(self) -> sp.Symbol:
        """An index without a name of its own; whoever prints it chooses a letter."""
        self.indices += 1
        return ast.index(f"_{self.indices}")

    def array(self, stem: str) -> str:
        """``stem_1``, ``stem_2`` …"""
        while True:
            self.counts[stem] = self.counts.get(stem, 0) + 1
            name = f"{stem}_{self.counts[stem]}"
            if name not in self.taken:
                self.taken.add(name)
                return name


@dataclass(frozen=True)
class Writer:
    """Writes expressions over declared arrays out in entries."""

    scope: Mapping[str, Declaration]
    names: Names

    def shape(self, expression: Expression) -> Shape:
        return shape_of(expression, self.scope)

    def entry(self, expression: Expression, indices: Indices) -> Expression:
        """The entry of ``expression`` at ``indices``, one for each axis; a number stands for itself at any indices."""
        rule = _RULES.get(type(expression))
        if rule is None:
            raise CannotCompile(
                f"{type(expression).__name__} appears in derived formulas for readers; it has no kernel"
            )
        shape = self.shape(expression)
        return rule(self, expression, indices if shape else ())


def _access(writer: Writer, node: Access, at: Indices) -> Expression:
    return node if node.subscripts else replace(node, subscripts=at)


def _each(writer: Writer, node: Expression, at: Indices) -> Expression:
    return ast.map_children(lambda child: writer.entry(child, at), node)


def _hadamard(writer: Writer, node: ast.Hadamard, at: Indices) -> Expression:
    return ast.Product(tuple(writer.entry(factor, at) for factor in node.factors))


def _power(writer: Writer, node: ast.Power, at: Indices) -> Expression:
    return replace(node, base=writer.entry(node.base, at), exponent=writer.entry(node.exponent, ()))


def _transpose(writer: Writer, node: ast.Transpose, at: Indices) -> Expression:
    rank = len(writer.shape(node.operand))
    return writer.entry(node.operand, {0: (), 1: at[-1:], 2: at[::-1]}[rank] if len(at) != 1 else (ROW_ZERO, at[0]))


def _inner(writer: Writer, node: ast.Inner, at: Indices) -> Expression:
    shape = writer.shape(node.left)
    bound = tuple(writer.names.index() for _ in shape)
    body: Expression = ast.Product((writer.entry(node.left, bound), writer.entry(node.right, bound)))
    return _summed(body, bound, shape)


def _summed(body: Expression, bound: Sequence[sp.Symbol], shape: Shape) -> Expression:
    for variable, extent in zip(reversed(bound), reversed(shape), strict=True):
        body = ast.Sum(variable, sp.Integer(0), extent - 1, body)
    return body


def _call(writer: Writer, node: ast.Call, at: Indices) -> Expression:
    """Rows whose entries are plain sums; the others were given a name before (see stages)."""
    (argument,) = node.arguments
    shape = writer.shape(argument)
    if node.function == "sum":
        bound = tuple(writer.names.index() for _ in shape)
        return _summed(writer.entry(argument, bound), bound, shape)
    if node.function == "trace":
        k = writer.names.index()
        return ast.Sum(k, sp.Integer(0), shape[0] - 1, writer.entry(argument, (k, k)))
    raise CannotCompile(f"{node.function} has no kernel; array functions: {', '.join(ARRAY_FUNCTIONS)}")


def _slice(writer: Writer, node: ast.Slice, at: Indices) -> Expression:
    free = iter(at)
    places = tuple(place[0] + next(free) if isinstance(place, tuple) else place for place in node.places)
    return writer.entry(node.operand, places)


def _kronecker(writer: Writer, node: ast.Kronecker, at: Indices) -> Expression:
    """(A ⊗ B)[i, j] = A[⌊i / p⌋, ⌊j / q⌋] B[i mod p, j mod q] for B of p rows and q columns."""
    left, right = writer.shape(node.left), writer.shape(node.right)
    if not left or not right:
        return ast.Product((writer.entry(node.left, at), writer.entry(node.right, at)))
    extents = _matrix_shape(writer, node.right)[: len(at)]
    outer = tuple(sp.floor(i / extent) for i, extent in zip(at, extents, strict=True))
    inner = tuple(sp.Mod(i, extent) for i, extent in zip(at, extents, strict=True))
    return ast.Product((writer.entry(node.left, outer[: len(left)]), writer.entry(node.right, inner[: len(right)])))


def _block(writer: Writer, node: ast.Block, at: Indices) -> Expression:
    """Each block where its rows and columns are."""
    found: list[Expression] = []
    above: Integer = sp.Integer(0)
    for row in node.rows:
        before: Integer = sp.Integer(0)
        height = _extents(writer, row[0])[0]
        for part in row:
            shape, (_, width) = writer.shape(part), _extents(writer, part)
            offsets, lengths = (above, before)[: len(at)], (height, width)[: len(at)]
            ends = zip(at, offsets, lengths, strict=True)
            inside = tuple(ast.Within(i, offset, offset + length - 1) for i, offset, length in ends)
            own = tuple(i - offset for i, offset in zip(at, offsets, strict=True))
            found.append(ast.Guard(inside, writer.entry(part, own[: len(shape)])))
            before = before + width
        above = above + height
    return ast.Add(tuple(found)) if len(found) > 1 else found[0]


def _extents(writer: Writer, node: Expression) -> tuple[Integer, Integer]:
    rows, columns = (*writer.shape(node), sp.Integer(1), sp.Integer(1))[:2]
    return rows, columns


def _diagonal(writer: Writer, node: ast.Diagonal, at: Indices) -> Expression:
    return _where_equal(at, writer.entry(node.vector, at[:1]))


def _where_equal(at: Indices, body: Expression) -> Expression:
    return ast.Guard((ast.Within(at[0] - at[1], sp.Integer(0), sp.Integer(0)),), body)


def _sum(writer: Writer, node: ast.Sum, at: Indices) -> Expression:
    bound = node.index
    if any(bound in sp.sympify(position).free_symbols for position in at):
        bound = writer.names.index()
        node = replace(node, index=bound, body=ast.substitute_indices(node.body, {node.index: bound}))
    return replace(node, body=writer.entry(node.body, at))


def _maximum(writer: Writer, node: ast.Maximum, at: Indices) -> Expression:
    taken = {symbol for position in at for symbol in sp.sympify(position).free_symbols}
    clashes = any(item.index in taken for item in node.ranges)
    node = with_indices(node, [writer.names.index() for _ in node.ranges]) if clashes else node
    return replace(node, body=writer.entry(node.body, at))


def _share(writer: Writer, node: ast.Share, at: Indices) -> Expression:
    """Under fresh indices: the equation may number the positions by those of the maximum."""
    maximum = with_indices(node.maximum, [writer.names.index() for _ in node.maximum.ranges])
    return replace(node, maximum=replace(maximum, body=writer.entry(maximum.body, ())))


def with_indices(maximum: ast.Maximum, names: Sequence[sp.Symbol]) -> ast.Maximum:
    """``maximum`` with these indices in its ranges."""
    change: dict[sp.Symbol, Integer] = {}
    ranges: list[Range] = []
    for item, name in zip(maximum.ranges, names, strict=True):
        ranges.append(Range(name, replaced(item.lower, change), replaced(item.upper, change)))
        change[item.index] = name
    body, conditions = replaced_in(maximum.body, change), replaced_conditions(maximum.conditions, change)
    return replace(maximum, ranges=tuple(ranges), body=body, conditions=conditions)


def _vectorised(writer: Writer, node: ast.Vectorised, at: Indices) -> Expression:
    shape = writer.shape(node.operand)
    place = (at[0],) if len(shape) == 1 else (sp.Mod(at[0], shape[0]), sp.floor(at[0] / shape[0]))
    return writer.entry(node.operand, place if shape else ())


# Products -------------------------------------------------------------------------------------------------------------


def _product(writer: Writer, node: ast.Product, at: Indices) -> Expression:
    scalars: list[Expression] = []
    chain: tuple[Expression, ...] = ()
    for factor in node.factors:
        if not writer.shape(factor):
            scalars.append(writer.entry(factor, ()))
            continue
        chain = (*chain, factor)
        if len(chain) > 1 and not writer.shape(
            ast.Product(chain)
        ):  # a row times a column: a scalar, which scales the rest
            scalars.append(_chain(writer, chain, ROW_ZERO, ROW_ZERO))
            chain = ()
    if not chain:
        return ast.Product(tuple(scalars)) if len(scalars) > 1 else scalars[0]
    body = _chain(writer, chain, *((*at, ROW_ZERO) if len(at) == 1 else at))
    return ast.Product((*scalars, body)) if scalars else body


def _matrix_shape(writer: Writer, node: Expression) -> tuple[Integer, Integer]:
    shape = writer.shape(node)
    return (shape[0], sp.Integer(1)) if len(shape) == 1 else (shape[0], shape[1])


def _chain(writer: Writer, arrays: tuple[Expression, ...], i: Integer, j: Integer) -> Expression:
    """Entry (i, j) of the matrix product of ``arrays``, multiplied in the cheapest order."""
    if len(arrays) == 1:
        (array,) = arrays
        return writer.entry(array, (i,) if len(writer.shape(array)) == 1 else (i, j))
    extents = [_matrix_shape(writer, array) for array in arrays]
    cut = _cheapest_cut(tuple(1 if extent == 1 else NOMINAL for extent in (extents[0][0], *(e[1] for e in extents))))
    left, right = arrays[:cut], arrays[cut:]
    if len(left) == 1 and isinstance(left[0], ast.Diagonal):
        return ast.Product((writer.entry(left[0].vector, (i,)), _chain(writer, right, i, j)))
    if len(right) == 1 and isinstance(right[0], ast.Diagonal):
        return ast.Product((_chain(writer, left, i, j), writer.entry(right[0].vector, (j,))))
    inner = extents[cut][0]
    if inner == 1:
        return ast.Product((_chain(writer, left, i, ROW_ZERO), _chain(writer, right, ROW_ZERO, j)))
    k = writer.names.index()
    body = ast.Product((_chain(writer, left, i, k), _chain(writer, right, k, j)))
    return ast.Sum(k, sp.Integer(0), inner - 1, body)


def _cheapest_cut(extents: tuple[int, ...]) -> int:
    """Where the last multiplication of a chain stands: between factors cut - 1 and cut."""

    @cache
    def cost(first: int, last: int) -> tuple[int, int]:
        if last - first == 1:
            return 0, last
        return min(
            (cost(first, cut)[0] + cost(cut, last)[0] + extents[first] * extents[cut] * extents[last], cut)
            for cut in range(first + 1, last)
        )

    return cost(0, len(extents) - 1)[1]


_RULES: dict[type, Callable[..., Expression]] = {
    ast.Number: lambda writer, node, at: node,
    ast.SizeValue: lambda writer, node, at: node,
    Access: _access,
    ast.Add: _each,
    ast.Negative: _each,
    ast.Product: _product,
    ast.Hadamard: _hadamard,
    ast.Quotient: _each,
    ast.Power: _power,
    ast.Transpose: _transpose,
    ast.Inner: _inner,
    ast.Apply: _each,
    ast.Call: _call,
    ast.Diagonal: _diagonal,
    ast.Slice: _slice,
    ast.Kronecker: _kronecker,
    ast.Block: _block,
    ast.Sum: _sum,
    ast.Maximum: _maximum,
    ast.Share: _share,
    ast.Guard: _each,
    ast.Identity: lambda writer, node, at: _where_equal(at, ast.ONE),
    ast.Filled: lambda writer, node, at: ast.Number(Fraction(node.value)),
    ast.Vectorised: _vectorised,
}
"""How each node reads entry by entry; nodes that only appear in closed forms for readers have none."""
