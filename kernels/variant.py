"""One function for one question (loss, gradients or forward values): its arguments, its source, how it is compiled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import sympy as sp

from derive.language.expression import Integer
from kernels import cache, emit
from kernels.schedule import Work, planned
from kernels.schedule.integers import extent
from kernels.schedule.integers import symbols as symbols_in
from kernels.schedule.plan import BATCH_SIZE, Array, Contraction, Plan

NUMBA_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


@dataclass(frozen=True)
class Argument:
    """One array argument: ``extents`` is the shape of its storage in sizes, the batch among them."""

    name: str
    extents: tuple[Integer, ...]


@dataclass(frozen=True)
class Variant:
    """A function and what to pass to it, in this order: sizes, batch, flags, inputs, room, panels, outputs.

    Behind the panels come the rooms of the contractions, then their tables.
    """

    path: Path
    source: str
    sizes: tuple[sp.Symbol, ...]
    flags: tuple[str, ...]
    inputs: tuple[Argument, ...]
    room: tuple[Argument, ...]
    panels: tuple[tuple[Integer, Integer], ...]
    contractions: tuple[Contraction, ...]
    outputs: tuple[Argument, ...]
    plan: Plan
    make: Callable[[], Callable[..., Any]]

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The function itself; reading and printing a kernel does not compile it, the first call does."""
        return self.make()


@dataclass(frozen=True)
class Wording:
    """What the source says besides its steps: the title, the text of each equation, the sentence of the function."""

    title: str
    texts: Mapping[int, str]
    sentence: str

    def header(self, numbers: Collection[int]) -> str:
        """The title, and the equations with these numbers."""
        lines = [f"    {emit.label(number)}  {self.texts[number]}" for number in sorted(numbers & self.texts.keys())]
        return "\n".join([self.title, "", *lines])


def extents(array: Array) -> tuple[Integer, ...]:
    """The shape of an array's storage; a number takes an axis of length 1."""
    batch = (BATCH_SIZE,) if array.batched else ()
    return (*map(extent, array.slots), *batch, *array.shape) or (sp.Integer(1),)


def kind(array: Array | None, dtype: str) -> str:
    """The type of an array's entries: numbers, or of a choice the smallest whole numbers that count its positions."""
    if array is None or array.choice is None:
        return dtype
    count = array.choice.count
    return "int8" if count.is_Integer and count <= 1 << 7 else "int32"


def variant(work: Work, wording: Wording, stem: str, dtype: str, jit: bool) -> Variant:
    """The function that does ``work``, whose outputs are the loss and what was asked for."""
    plan, program = planned(work), work.program
    loss, *asked = (access.name for access in work.outputs)
    roles = {item.name: item.role for item in program.declarations}
    starts = [start for start in program.starts if start.key in plan.arrays]
    flags = tuple(start.key for start in starts if start.value is not None)
    inputs = [name for role in ("learn", "given") for name in plan.arrays if roles.get(name) == role]
    inputs += [start.key for start in starts]
    outputs = list(dict.fromkeys(asked))
    room = [name for name in plan.arrays if name not in inputs and name not in outputs]
    rooms, tables = ([f"{name}_{what}" for name in plan.contractions] for what in ("room", "places"))
    names = emit.identifiers([*(size.name for size in program.sizes), *plan.arrays, *plan.panels, *rooms, *tables])
    symbols = {size: names[size.name] for size in program.sizes} | {BATCH_SIZE: "batch"}
    lines = emit.body(plan, names, symbols, wording.texts)
    inside = in_contractions(plan)
    sizes = tuple(size for size in program.sizes if size in inside or emit.mentioned([symbols[size]], lines))
    integers = (*(symbols[size] for size in sizes), "batch", *(f"{names[key]}_given" for key in flags))
    arrays = (*inputs, *room, *plan.panels, *rooms, *tables, *outputs)
    arguments = (*integers, *(names[name] for name in arrays))
    function = emit.Function("kernel", wording.sentence, arguments, lines, f"mean({names[loss]})")
    text = emit.source(function, wording.header(emit.equation_numbers(plan.statements)), dtype)
    path = cache.stored(text, stem)
    ranks = {name: len(extents(array)) for name, array in plan.arrays.items()}
    ranks |= dict.fromkeys(plan.panels, 3) | dict.fromkeys((*rooms, *tables), 1)
    kinds = [("int64" if name in tables else kind(plan.arrays.get(name), dtype), ranks[name]) for name in arrays]
    make = partial(compiled if jit else plain, path, len(integers), kinds)
    storage = {name: Argument(name, extents(array)) for name, array in plan.arrays.items()}
    return Variant(
        path,
        text,
        sizes,
        flags,
        tuple(storage[name] for name in inputs),
        tuple(storage[name] for name in room),
        tuple(plan.panels.values()),
        tuple(plan.contractions.values()),
        tuple(storage[name] for name in outputs),
        plan,
        make,
    )


def in_contractions(plan: Plan) -> set[sp.Symbol]:
    """The sizes that the tables of contractions are made from, whether or not the source mentions them."""
    axes = [axis for made in plan.contractions.values() for axis in (*made.left, *made.right, *made.out)]
    numbers = [number for axis in axes for number in (*axis.slopes, axis.start, axis.divisor, axis.length)]
    return symbols_in(*numbers, *(extent for made in plan.contractions.values() for extent in made.extents))


def plain(path: Path, integers: int, kinds: Sequence[tuple[str, int]]) -> Callable[..., Any]:
    """The function of a source file as Python runs it."""
    return cache.loaded(path).kernel


def compiled(path: Path, integers: int, kinds: Sequence[tuple[str, int]]) -> Callable[..., Any]:
    """The function of a source file, compiled for so many integers and contiguous arrays of these types and ranks."""
    import numba

    from kernels.rows import Counted, Separate

    arrays = [Counted(getattr(numba, dtype), rank) for dtype, rank in kinds]
    real = arrays[0].dtype
    signature = real(*[numba.int64] * integers, *arrays)
    return numba.njit(signature, pipeline_class=Separate, **NUMBA_OPTIONS)(cache.loaded(path).kernel)
