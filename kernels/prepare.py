"""What calls with arrays of the same shapes have in common: sizes, room, and how arrays are laid out for the compiled function and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import sympy as sp

from derive.language.expression import Access, Integer
from derive.language.system import Range
from kernels.errors import MissingArray
from kernels.inputs import Array, Checked
from kernels.product import aligned, panel_shape
from kernels.schedule.plan import BATCH_SIZE
from kernels.schedule.plan import Array as Placed
from kernels.variant import Argument, Variant, extents

Change = Callable[[Array], Array]


@dataclass(frozen=True)
class Result:
    """What a caller gets under ``key``: the array of ``access`` at the superscripts it fixes, over the declared range of the others."""

    key: str
    access: Access
    ranges: tuple[Range, ...]


@dataclass(frozen=True)
class Prepared:
    """Sizes and flags; changes of inputs by position; shapes of outputs; workspaces that are not in use; keys, positions and changes of results."""

    integers: tuple[int, ...]
    changes: tuple[tuple[int, Change], ...]
    shapes: tuple[tuple[int, ...], ...]
    allocate: Callable[[], list[Array]]
    results: tuple[tuple[str, int, Change | None], ...]
    free: list[list[Array]] = field(default_factory=list)


def prepared(variant: Variant, given: Checked, results: Sequence[Result], dtype: str) -> Prepared:
    """Everything about a call that its shapes decide."""
    batch = given.batch or 1
    values = {**given.sizes, BATCH_SIZE.name: batch}
    for size in variant.sizes:
        if size.name not in values:
            raise MissingArray(f'no shape tells the size {size}; give it among the inputs, as in {{"{size}": 5}}')
    flags = (int(key in given.arrays) for key in variant.flags)
    integers = (*(given.sizes[size.name] for size in variant.sizes), batch, *flags)
    changes = []
    for position, argument in enumerate(variant.inputs):
        change = to_storage(argument, variant.arrays[argument.name], given, values, dtype)
        if change is not None:
            changes.append((position, change))
    room = [shape(argument.extents, values) for argument in variant.room]
    panels = [panel_shape(number(inner, values), number(columns, values), dtype) for inner, columns in variant.panels]

    def allocate() -> list[Array]:
        return [aligned(extents, dtype) for extents in (*room, *panels)]

    places = {argument.name: position for position, argument in enumerate(variant.outputs)}
    answers = tuple(
        (
            result.key,
            places[result.access.name],
            from_storage(result, variant.arrays[result.access.name], given, values),
        )
        for result in results
    )
    outputs = tuple(shape(argument.extents, values) for argument in variant.outputs)
    return Prepared(integers, tuple(changes), outputs, allocate, answers)


def number(value: Integer, values: Mapping[str, int]) -> int:
    """``value`` at these sizes."""
    value = sp.sympify(value)
    return int(value.xreplace({symbol: sp.Integer(values[str(symbol)]) for symbol in value.free_symbols}))


def shape(extents: tuple[Integer, ...], values: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(number(extent, values) for extent in extents)


def to_storage(
    argument: Argument, array: Placed, given: Checked, values: Mapping[str, int], dtype: str
) -> Change | None:
    """How a caller's array becomes one with the axes of the storage; None where it has them already."""
    storage = shape(argument.extents, values)
    if argument.name not in given.arrays:
        unused = np.zeros(storage, dtype)
        return lambda _: unused
    found = given.arrays[argument.name].shape
    if not array.batched or (argument.name in given.batched and not array.slots):
        return None if found == storage else partial(reshaped, storage)
    if argument.name in given.batched:
        return partial(reshaped, storage) if given.batch == 1 else partial(steps_first, len(array.slots))
    return partial(reshaped, storage) if given.batch in (None, 1) else partial(repeated, len(array.slots), storage)


def from_storage(result: Result, array: Placed, given: Checked, values: Mapping[str, int]) -> Change | None:
    """How an output becomes what the caller expects; None where it is that already."""
    places: list[int | slice] = []
    for step, slot, declared in zip(result.access.superscripts, array.slots, result.ranges, strict=True):
        if step == declared.index:
            first, last = (number(end - slot.lower, values) for end in (declared.lower, declared.upper))
            places.append(slice(first, last + 1))
        else:
            places.append(number(step - slot.lower, values))
    kept = sum(isinstance(place, slice) for place in places)
    add = array.batched and given.batch is not None and "^" in result.key and result.key not in given.batched
    add = add and result.key in given.arrays

    def change(output: Array) -> Array:
        output = output[tuple(places)] if places else output
        if not array.batched:
            return output.reshape(()) if not array.shape and not kept else output
        if given.batch is None:
            return output.reshape(output.shape[:kept] + output.shape[kept + 1 :])
        return output.sum(axis=kept) if add else np.ascontiguousarray(np.moveaxis(output, kept, 0))

    storage = shape(extents(array), values)
    plain = all(place == slice(0, length) for place, length in zip(places, storage, strict=False))
    nothing = plain and (
        (array.batched and given.batch is not None and not kept and not add)
        or (not array.batched and bool(kept or array.shape))
    )
    return None if nothing else change


def reshaped(storage: tuple[int, ...], array: Array) -> Array:
    return array.reshape(storage)


def steps_first(slots: int, array: Array) -> Array:
    """The batch axis behind the steps, so that the sequences of one step are neighbours."""
    return np.ascontiguousarray(np.moveaxis(array, 0, slots))


def repeated(slots: int, storage: tuple[int, ...], array: Array) -> Array:
    """One value for all sequences of the batch."""
    return np.ascontiguousarray(np.broadcast_to(np.expand_dims(array, slots), storage))
