"""How a call passes what it passes: few arguments, in which the function that is called finds its arrays.

A compiled function called from Python spends on each argument as long as on some hundred multiply-adds. So ``entry``
takes, besides the caller's arrays and the results, only ``numbers`` with sizes and tables, and ``room`` for everything
else. It says what shapes it takes, and calls ``kernel`` with the arrays in numbers and room under their names: as
arguments they share no memory, which is what loops over vectors need to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import NativeValue, lower_builtin, type_callable, unbox
from numba.np import arrayobj

from derive.language.expression import Integer
from kernels.register_block import CACHE_LINE
from kernels.rows import Counted

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Part:
    """An array ``name`` in ``store``, room or numbers; an extent of None is known when the sizes are.

    ``kind`` is the type of its entries: real, the kernel's own, or whole numbers.
    """

    name: str
    store: str
    shape: tuple[Integer | None, ...]
    kind: str = "real"


def lines(
    sizes: Sequence[str],
    inputs: Iterable[tuple[str, Sequence[Integer]]],
    parts: Iterable[Part],
    spelled: Callable[[Integer], str],
) -> Iterator[str]:
    """The lines of ``entry``: numbers has the sizes first, then start and unknown extents of each part."""
    place = len(sizes)
    yield f"{', '.join(sizes) if place > 1 else f'({sizes[0]},)'} = leading(numbers, {place})"
    for name, shape in inputs:
        yield f"has_shape({name}, ({', '.join(map(spelled, shape))}{',' if len(shape) == 1 else ''}))"
    for part in parts:
        start, extents = place, []
        for extent in part.shape:
            place += extent is None
            extents.append(f"numbers[{place}]" if extent is None else spelled(extent))
        place += 1
        shape = ", ".join(extents) + ("," if len(extents) == 1 else "")
        yield f"{part.name} = view({part.store}, numbers[{start}], ({shape}), {part.kind})"


def laid_out(
    sizes: Sequence[int], parts: Sequence[Part], shapes: Sequence[tuple[int, ...]], tables: Sequence[Array], dtype: str
) -> tuple[Array, int]:
    """``numbers`` for these sizes, shapes and tables, and the length of the room; all arrays start at a cache line."""
    line = CACHE_LINE // np.dtype(dtype).itemsize
    ends = {"room": 0, "numbers": len(sizes) + sum(1 + part.shape.count(None) for part in parts)}
    header = list(sizes)
    for part, shape in zip(parts, shapes, strict=True):
        header += [ends[part.store], *(n for n, extent in zip(shape, part.shape, strict=True) if extent is None)]
        size = np.dtype(dtype if part.kind == "real" else part.kind).itemsize * int(np.prod(shape, dtype=np.int64))
        ends[part.store] += size // 8 if part.store == "numbers" else -(-size // CACHE_LINE) * line
    return np.concatenate([np.array(header, np.int64), *tables]), ends["room"]


def leading(numbers: Array, count: int) -> Any:
    """The first ``count`` of the numbers."""
    return numbers[:count].tolist()


def view(store: Array, start: int, shape: tuple[int, ...], kind: Any) -> Array:
    """The array of this shape and type that starts there, behind so many entries of the store."""
    return np.ndarray(shape, kind, store, start * store.itemsize)


def has_shape(array: Array, shape: tuple[int, ...]) -> None:
    """TypeError unless the array has this shape, as it has unless the call was prepared for other shapes."""
    if array.shape != shape:
        raise TypeError(SHAPE)


SHAPE = "arrays must have the shapes that the call was prepared for"

# -- the same functions for numba --------------------------------------------------------------------------------------


@type_callable(leading)
def _type_leading(_context: Any) -> Callable[[Any, Any], Any]:
    def typer(numbers: Any, count: Any) -> Any:
        return types.UniTuple(types.int64, count.literal_value) if isinstance(count, types.IntegerLiteral) else None

    return typer


@lower_builtin(leading, types.Array, types.Integer)
def _lower_leading(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    kind, made = signature.args[0], signature.return_type
    data = context.make_array(kind)(context, builder, arguments[0]).data
    values = [builder.load(cgutils.gep_inbounds(builder, data, place)) for place in range(made.count)]
    return context.make_tuple(builder, made, values)


@type_callable(view)
def _type_view(_context: Any) -> Callable[[Any, Any, Any, Any], Any]:
    def typer(store: Any, start: Any, shape: Any, kind: Any) -> Any:
        return Counted(kind.dtype, len(shape))

    return typer


@lower_builtin(view, types.Array, types.Integer, types.BaseTuple, types.Any)
def _lower_view(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    (kind, start, extents, _), made = signature.args, signature.return_type
    store = context.make_array(kind)(context, builder, arguments[0])
    given = zip(cgutils.unpack_tuple(builder, arguments[2]), extents, strict=True)
    shape = [context.cast(builder, value, extent, types.intp) for value, extent in given]
    itemsize = ir.Constant(store.itemsize.type, made.dtype.bitwidth // 8)
    strides: list[Any] = [itemsize]
    for extent in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], extent))
    array = context.make_array(made)(context, builder)
    first = builder.gep(store.data, [context.cast(builder, arguments[1], start, types.intp)])
    first = builder.bitcast(first, array.data.type)
    arrayobj.populate_array(array, first, shape, strides, itemsize, meminfo=None)
    return array._getvalue()


@type_callable(has_shape)
def _type_has_shape(_context: Any) -> Callable[[Any, Any], Any]:
    def typer(array: Any, shape: Any) -> Any:
        return types.void if array.ndim == len(shape) else None

    return typer


@lower_builtin(has_shape, types.Array, types.BaseTuple)
def _lower_has_shape(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    kind, extents = signature.args
    found = cgutils.unpack_tuple(builder, context.make_array(kind)(context, builder, arguments[0]).shape)
    wrong: Any = cgutils.false_bit
    for is_, extent, value in zip(found, extents, cgutils.unpack_tuple(builder, arguments[1]), strict=True):
        wanted = context.cast(builder, value, extent, types.intp)
        wrong = builder.or_(wrong, builder.icmp_signed("!=", is_, wanted))
    with builder.if_then(wrong, likely=False):
        context.call_conv.return_user_exc(builder, TypeError, (SHAPE,))
    return context.get_dummy_value()


@unbox(Counted)
def _borrowed(kind: Any, given: Any, c: Any) -> Any:
    """An argument as numba sees it, without the counting of references that numba does for each array.

    Whoever calls holds the array until the call returns, and a kernel keeps none. That the type is right has been seen
    to before, when the call was matched with the signature.
    """
    array = c.context.make_array(kind)(c.context, c.builder)
    api, place = c.pyapi, array._getpointer()
    adapt = ir.FunctionType(ir.IntType(32), [api.pyobj, api.voidptr])
    # What numba itself calls where it counts no references; its own wrapper serves only that case.
    function = cgutils.get_or_insert_function(c.builder.module, adapt, "numba_adapt_ndarray")
    failed = cgutils.is_not_null(c.builder, c.builder.call(function, [given, c.builder.bitcast(place, api.voidptr)]))
    with c.builder.if_then(failed, likely=False):
        api.err_set_string("PyExc_TypeError", "not an array")
    return NativeValue(c.builder.load(place), is_error=failed)
