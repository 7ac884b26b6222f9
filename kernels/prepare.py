"""What calls with arrays of the same shapes have in common: sizes, room, the layout of arrays going in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import sympy as sp

from derive.language.expression import Access, Integer
from derive.language.system import Range
from kernels import places, ways
from kernels.errors import MissingArray
from kernels.inputs import Array, Checked
from kernels.product import aligned, panel_shape
from kernels.schedule import plan
from kernels.schedule.cost import work
from kernels.schedule.integers import integer, symbols
from kernels.variant import Argument, Variant, extents, kind

Change = Callable[[Array], Array]


@dataclass(frozen=True)
class Result:
    """What a caller gets under ``key``: the array of ``access`` at the steps it fixes, else over declared ranges."""

    key: str
    access: Access
    ranges: tuple[Range, ...]


@dataclass(frozen=True)
class Prepared:
    """A call with arrays of known shapes: what to pass, and how to change what comes in (by position) and goes out.

    ``results`` are keys, positions among the outputs, changes; those in ``separate`` have a row for each sequence, as
    inputs in ``batched`` have. ``work`` counts multiply-adds, a line in a loop as several. ``free`` holds the
    workspaces that no call is using.
    """

    integers: tuple[int, ...]
    changes: tuple[tuple[int, Change], ...]
    outputs: tuple[tuple[int, ...], ...]
    allocate: Callable[[], list[Array]]
    results: tuple[tuple[str, int, Change | None], ...]
    batch: int
    batched: frozenset[str]
    separate: frozenset[str]
    work: int
    free: list[list[Array]] = field(default_factory=list)


def prepared(variant: Variant, given: Checked, results: Sequence[Result], dtype: str) -> Prepared:
    """Everything about a call that its shapes decide."""
    values = {**given.sizes, plan.BATCH_SIZE.name: given.batch or 1}
    for size in variant.sizes:
        if size.name not in values:
            raise MissingArray(f'no shape tells the size {size}; give it among the inputs, as in {{"{size}": 5}}')
    flags = (int(key in given.arrays) for key in variant.flags)
    integers = (*(values[size.name] for size in (*variant.sizes, plan.BATCH_SIZE)), *flags)
    changes = [
        (position, change)
        for position, argument in enumerate(variant.inputs)
        if (change := to_storage(argument, variant.plan.arrays[argument.name], given, values, dtype))
    ]
    named = [variant.plan.arrays[argument.name] for argument in variant.room]
    kinds = [kind(array, dtype) for array in named]
    room = [numbers(argument.extents, values) for argument in variant.room]
    room += [panel_shape(number(inner, values), number(columns, values), dtype) for inner, columns in variant.panels]
    tables = [places.places(contraction(made, values), dtype) for made in variant.contractions]
    room += [(int(table[places.AT["room_size"]]),) for table in tables]
    kinds += [dtype] * (len(room) - len(kinds))
    position = {argument.name: place for place, argument in enumerate(variant.outputs)}
    answers = [
        (result.key, position[result.access.name], from_storage(result, variant.plan, given, values))
        for result in results
    ]
    outputs = tuple(numbers(argument.extents, values) for argument in variant.outputs)
    once = given.arrays.keys() - given.batched
    separate = {r.key for r in results if variant.plan.arrays[r.access.name].batched and r.key not in once}
    return Prepared(
        integers,
        tuple(changes),
        outputs,
        partial(workspace, tuple(zip(room, kinds, strict=True)), tables),
        tuple(answers),
        given.batch or 1,
        given.batched,
        frozenset(separate),
        work(variant.plan, values),
    )


def workspace(rooms: Sequence[tuple[tuple[int, ...], str]], tables: Sequence[Array]) -> list[Array]:
    """Room for one call, and the tables that all calls share."""
    return [*(aligned(shape, dtype) for shape, dtype in rooms), *tables]


def contraction(made: plan.Contraction, values: Mapping[str, int]) -> ways.Contraction:
    """The contraction at these sizes."""

    def reading(axes: Sequence[plan.AffineAxis]) -> ways.Reading:
        return ways.Reading(
            numbers([axis.length for axis in axes], values),
            tuple(numbers(axis.slopes, values) for axis in axes),
            numbers([axis.start for axis in axes], values),
            numbers([axis.divisor for axis in axes], values),
        )

    arrays = map(reading, (made.left, made.right, made.out))
    return ways.Contraction(numbers(made.extents, values), made.kinds, *arrays)


def number(value: Integer, values: Mapping[str, int]) -> int:
    """``value`` at these sizes."""
    if isinstance(value, sp.Symbol):
        return values[value.name]
    if not isinstance(value, sp.Integer):
        value = integer(value.xreplace({symbol: sp.Integer(values[symbol.name]) for symbol in symbols(value)}))
    return value.p if isinstance(value, sp.Integer) else int(str(value))


def numbers(extents: Iterable[Integer], values: Mapping[str, int]) -> tuple[int, ...]:
    """The extents at these sizes."""
    return tuple(number(extent, values) for extent in extents)


# In -------------------------------------------------------------------------------------------------------------------


def to_storage(
    argument: Argument, array: plan.Array, given: Checked, values: Mapping[str, int], dtype: str
) -> Change | None:
    """How a caller's array gets the axes of the storage, steps before sequences; None where it has them already."""
    storage = numbers(argument.extents, values)
    if argument.name not in given.arrays:
        unused = np.zeros(storage, dtype)
        return lambda _: unused
    slots, has_batch = len(array.slots), argument.name in given.batched
    if array.batched and not has_batch and given.batch not in (None, 1):
        return partial(repeated, slots, storage)
    if has_batch and slots and given.batch != 1:
        return partial(steps_first, slots)
    return None if given.arrays[argument.name].shape == storage else partial(reshaped, storage)


def reshaped(shape: tuple[int, ...], array: Array) -> Array:
    """The array with other axes of length 1."""
    return array.reshape(shape)


def steps_first(slots: int, array: Array) -> Array:
    """The batch axis behind the steps, so that the sequences of one step are neighbours."""
    return np.ascontiguousarray(np.moveaxis(array, 0, slots))


def repeated(slots: int, shape: tuple[int, ...], array: Array) -> Array:
    """One value for all sequences of the batch."""
    return np.ascontiguousarray(np.broadcast_to(np.expand_dims(array, slots), shape))


# Out ------------------------------------------------------------------------------------------------------------------


def from_storage(result: Result, made: plan.Plan, given: Checked, values: Mapping[str, int]) -> Change | None:
    """How an output becomes what the caller expects; None where it is that already."""
    array = made.arrays[result.access.name]
    places: list[int | slice] = []
    for step, slot, declared in zip(result.access.superscripts, array.slots, result.ranges, strict=True):
        if step == declared.index:
            first, last = numbers([declared.lower - slot.lower, declared.upper - slot.lower], values)
            places.append(slice(first, last + 1))
        else:
            places.append(number(step - slot.lower, values))
    steps = sum(isinstance(place, slice) for place in places)
    storage = numbers(extents(array), values)
    changes: list[Change] = []
    if any(place != slice(0, length) for place, length in zip(places, storage, strict=False)):
        changes.append(lambda output: output[tuple(places)])
    if not array.batched:
        changes += [] if steps or array.shape else [partial(reshaped, ())]
    elif given.batch is None:
        changes.append(lambda output: output.reshape(output.shape[:steps] + output.shape[steps + 1 :]))
    elif result.key in given.arrays and result.key not in given.batched:  # one start for all sequences
        changes.append(lambda output: output.sum(axis=steps))
    elif steps:
        changes.append(lambda output: np.moveaxis(output, steps, 0))
    return partial(changed, changes) if changes else None


def changed(changes: Sequence[Change], output: Array) -> Array:
    """The output after all changes, with its entries in the usual order."""
    for change in changes:
        output = change(output)
    return np.ascontiguousarray(output) if output.shape else output
