"""What calls with arrays of the same shapes have in common: sizes, room, the layout of arrays going in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
import sympy as sp

from derive.language.expression import Access, Integer
from derive.language.system import Range
from kernels import entry, places, ways
from kernels.errors import MissingArray
from kernels.inputs import Array, Checked
from kernels.product import aligned, panel_shape
from kernels.schedule import plan
from kernels.schedule.cost import work
from kernels.schedule.integers import integer, symbols
from kernels.variant import Argument, Variant, extents

Change = Callable[[Array], Array]
Lookup = Callable[[Mapping[str, Any]], tuple[Any, ...]]


@dataclass(frozen=True)
class Result:
    """What a caller gets under ``key``: the array of ``access`` at the steps it fixes, else over declared ranges."""

    key: str
    access: Access
    ranges: tuple[Range, ...]


@dataclass(frozen=True)
class Prepared:
    """A call with arrays of known shapes: what to pass, and how to change what comes in (by position) and goes out.

    ``outputs`` are shapes by name; ``results`` says by key what the caller gets: which output, how changed. It is
    empty where the outputs are the results. Among ``count`` inputs are sizes of the values ``told``, which ``sizes``
    looks up. Results in ``separate`` have a row for each sequence, as inputs in ``batched`` have. ``work`` counts
    multiply-adds, a line in a loop as several. ``free`` holds the workspaces that no call is using; all calls share
    ``numbers``.
    """

    numbers: Array
    changes: tuple[tuple[int, Change], ...]
    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    allocate: Callable[[], Array]
    results: tuple[tuple[str, str, Change | None], ...]
    count: int
    sizes: Lookup | None
    told: tuple[int, ...]
    batch: int
    batched: frozenset[str]
    separate: frozenset[str]
    work: int
    free: list[Array] = field(default_factory=list)


def lookup(keys: Sequence[str]) -> Lookup:
    """The values of these keys."""
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda values: tuple([values[key] for key in keys])


def prepared(
    variant: Variant, given: Checked, results: Sequence[Result], dtype: str, inputs: Mapping[str, Any]
) -> Prepared:
    """Everything about a call that the shapes of its arrays and the sizes among its inputs decide."""
    values = {**given.sizes, plan.BATCH_SIZE.name: given.batch or 1}
    for size in variant.sizes:
        if size.name not in values:
            raise MissingArray(f'no shape tells the size {size}; give it among the inputs, as in {{"{size}": 5}}')
    flags = (int(key in given.arrays) for key in variant.flags)
    sizes = (*(values[size.name] for size in (*variant.sizes, plan.BATCH_SIZE)), *flags)
    changes = [
        (position, change)
        for position, argument in enumerate(variant.inputs)
        if (change := to_storage(argument, variant.plan.arrays[argument.name], given, values, dtype))
    ]
    room = [numbers(argument.extents, values) for argument in variant.room]
    room += [panel_shape(number(inner, values), number(columns, values), dtype) for inner, columns in variant.panels]
    tables = [places.places(contraction(made, values), dtype) for made in variant.contractions]
    room += [(int(table[places.AT["room_size"]]),) for table in tables]
    room += [table.shape for table in tables]
    passed, length = entry.laid_out(sizes, variant.parts, room, tables, dtype)
    names = {result.access.name: result.key for result in reversed(results)}
    answers = [
        (result.key, names[result.access.name], from_storage(result, variant.plan, given, values)) for result in results
    ]
    as_they_are = all(key == name and change is None for key, name, change in answers)
    outputs = tuple((names[argument.name], numbers(argument.extents, values)) for argument in variant.outputs)
    told = {key: value for key, value in inputs.items() if key not in given.arrays}
    once = given.arrays.keys() - given.batched
    separate = {r.key for r in results if variant.plan.arrays[r.access.name].batched and r.key not in once}
    return Prepared(
        passed,
        tuple(changes),
        outputs,
        partial(aligned, length, dtype),
        () if as_they_are else tuple(answers),
        len(inputs),
        lookup(tuple(told)) if told else None,
        tuple(told.values()),
        given.batch or 1,
        given.batched,
        frozenset(separate),
        work(variant.plan, values),
    )


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
    shape, slots, has_batch = given.arrays[argument.name].shape, len(array.slots), argument.name in given.batched
    if array.batched and not has_batch and given.batch not in (None, 1):
        return partial(repeated, shape, slots, storage)
    if has_batch and slots and given.batch != 1:
        return partial(steps_first, shape, (*range(1, slots + 1), 0, *range(slots + 1, len(storage))))
    return None if shape == storage else partial(reshaped, shape, storage)


def of_shape(shape: tuple[int, ...], array: Array) -> Array:
    """The array, which has this shape unless the call was prepared for another."""
    array = np.asarray(array)
    if array.shape != shape:
        raise TypeError(entry.SHAPE)
    return array


def reshaped(shape: tuple[int, ...], storage: tuple[int, ...], array: Array) -> Array:
    """The array with other axes of length 1."""
    return of_shape(shape, array).reshape(storage)


def steps_first(shape: tuple[int, ...], axes: tuple[int, ...], array: Array) -> Array:
    """The batch axis behind the steps, so that the sequences of one step are neighbours."""
    return np.ascontiguousarray(of_shape(shape, array).transpose(axes))


def repeated(shape: tuple[int, ...], slots: int, storage: tuple[int, ...], array: Array) -> Array:
    """One value for all sequences of the batch."""
    return np.ascontiguousarray(np.broadcast_to(np.expand_dims(of_shape(shape, array), slots), storage))


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
        changes += [] if steps or array.shape else [lambda output: output.reshape(())]
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
