"""What calls with arrays of the same shapes have in common: sizes, room, the layout of arrays going in and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from derive.language.expression import Access, Integer
from derive.language.system import Range
from kernels.errors import MissingArray
from kernels.inputs import Array, Checked
from kernels.product import aligned, panel_shape
from kernels.schedule import plan
from kernels.schedule.cost import multiply_adds
from kernels.schedule.integers import integer, symbols
from kernels.variant import Argument, Variant, extents

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
    inputs in ``batched`` have. ``work`` counts multiply-adds. ``free`` holds the workspaces that no call is using.
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
    room = [numbers(argument.extents, values) for argument in variant.room]
    room += [panel_shape(number(inner, values), number(columns, values), dtype) for inner, columns in variant.panels]
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
        partial(workspace, room, dtype),
        tuple(answers),
        given.batch or 1,
        given.batched,
        frozenset(separate),
        number(multiply_adds(variant.plan), values),
    )


def workspace(shapes: Sequence[tuple[int, ...]], dtype: str) -> list[Array]:
    """Room for one call."""
    return [aligned(shape, dtype) for shape in shapes]


def number(value: Integer, values: Mapping[str, int]) -> int:
    """``value`` at these sizes."""
    found = integer(value).xreplace({symbol: integer(values[symbol.name]) for symbol in symbols(value)})
    return int(str(found))


def numbers(extents: Sequence[Integer], values: Mapping[str, int]) -> tuple[int, ...]:
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
