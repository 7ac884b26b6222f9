"""One function for one question (loss, gradients or forward values): its arguments, its source, how it is compiled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import sympy as sp

from derive.language.expression import Integer
from kernels import cache, emit, entry
from kernels.numerals import Numerals
from kernels.schedule import Work, planned
from kernels.schedule.integers import extent
from kernels.schedule.integers import symbols as symbols_in
from kernels.schedule.plan import BATCH_SIZE, Array, Contraction, Plan

NUMBA_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}
ENTRY = "The same; numbers holds the sizes and tables, room the arrays that are neither given nor results."


@dataclass(frozen=True)
class Argument:
    """One array argument: ``extents`` is the shape of its storage in sizes, the batch among them."""

    name: str
    extents: tuple[Integer, ...]


@dataclass(frozen=True)
class Variant:
    """A function and what to pass to it: numbers, room, inputs, outputs, as ``kernels.entry`` says.

    ``sizes``, the batch and ``flags`` lead the numbers. ``parts`` are the arrays in room and numbers, in this order:
    ``room``, ``panels``, the rooms of ``contractions``, their tables.
    """

    path: Path
    source: str
    sizes: tuple[sp.Symbol, ...]
    flags: tuple[str, ...]
    inputs: tuple[Argument, ...]
    room: tuple[Argument, ...]
    panels: tuple[tuple[Integer, Integer], ...]
    contractions: tuple[Contraction, ...]
    parts: tuple[entry.Part, ...]
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


def kind(array: Array) -> str:
    """The type of an array's entries: numbers, or of a choice the smallest whole numbers that count its positions."""
    if array.choice is None:
        return "real"
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
    storage = {name: Argument(name, extents(array)) for name, array in plan.arrays.items()}
    parts = [entry.Part(names[name], "room", storage[name].extents, kind(plan.arrays[name])) for name in room]
    parts += [entry.Part(names[name], "room", (None, inner, None)) for name, (inner, _) in plan.panels.items()]
    parts += [entry.Part(names[name], "room", (None,)) for name in rooms]
    parts += [entry.Part(names[name], "numbers", (None,), "int64") for name in tables]
    symbols = {size: names[size.name] for size in program.sizes} | {BATCH_SIZE: "batch"}
    lines = emit.body(plan, names, symbols, wording.texts)
    shapes = (extent for name in (*inputs, *room) for extent in storage[name].extents)
    needed = in_contractions(plan) | symbols_in(*shapes)
    needed |= symbols_in(*(number for panel in plan.panels.values() for number in panel))
    sizes = tuple(size for size in program.sizes if size in needed or emit.mentioned([symbols[size]], lines))
    integers = (*(symbols[size] for size in sizes), "batch", *(f"{names[key]}_given" for key in flags))
    used = emit.mentioned(integers, lines)
    arrays = (*(names[name] for name in inputs), *(part.name for part in parts), *(names[name] for name in outputs))
    kernel = emit.Function("kernel", wording.sentence, (*used, *arrays), lines, f"mean({names[loss]})")
    spelled = Numerals(plan.arrays, names, symbols).integer
    taken = [(names[name], storage[name].extents) for name in inputs]
    opened = tuple(f"{emit.INDENT}{line}" for line in entry.lines(integers, taken, parts, spelled))
    passed = ("numbers", "room", *(names[name] for name in (*inputs, *outputs)))
    call = "\n".join(["kernel(", *emit.wrapped(kernel.arguments, 2 * emit.INDENT), f"{emit.INDENT})"])
    both = (kernel, emit.Function("entry", ENTRY, passed, opened, call))
    text = emit.source(both, wording.header(emit.equation_numbers(plan.statements)), dtype)
    path = cache.stored(text, stem)
    ranks = tuple(len(storage[name].extents) for name in (*inputs, *outputs))
    return Variant(
        path,
        text,
        sizes,
        flags,
        tuple(storage[name] for name in inputs),
        tuple(storage[name] for name in room),
        tuple(plan.panels.values()),
        tuple(plan.contractions.values()),
        tuple(parts),
        tuple(storage[name] for name in outputs),
        plan,
        partial(compiled if jit else plain, path, dtype, ranks),
    )


def in_contractions(plan: Plan) -> set[sp.Symbol]:
    """The sizes that the tables of contractions are made from, whether or not the source mentions them."""
    axes = [axis for made in plan.contractions.values() for axis in (*made.left, *made.right, *made.out)]
    numbers = [number for axis in axes for number in (*axis.slopes, axis.start, axis.divisor, axis.length)]
    return symbols_in(*numbers, *(extent for made in plan.contractions.values() for extent in made.extents))


def plain(path: Path, dtype: str, ranks: Sequence[int]) -> Callable[..., Any]:
    """The function of a source file as Python runs it; like a compiled one it refuses arrays of another kind."""
    return exacting(cache.loaded(path).entry, dtype)


def exacting(function: Callable[..., Any], dtype: str) -> Callable[..., Any]:
    """The function, for contiguous arrays of this type alone."""
    real = np.dtype(dtype)

    def called(numbers: Any, *arrays: Any) -> float:
        if any(not isinstance(array, np.ndarray) or array.dtype != real or not array.flags.carray for array in arrays):
            raise TypeError(f"arrays must be contiguous and hold {real}")
        return float(function(numbers, *arrays))

    return called


def compiled(path: Path, dtype: str, ranks: Sequence[int]) -> Callable[..., Any]:
    """The function of a source file, compiled for contiguous arrays of this type and these ranks."""
    import numba

    from kernels.rows import Counted, Separate

    module = cache.loaded(path)
    real: Any = getattr(numba, dtype)
    options: dict[str, Any] = {**NUMBA_OPTIONS, "pipeline_class": Separate, "no_cfunc_wrapper": True}
    # kernel is compiled for the types with which entry calls it, into the same file of numba's cache.
    inner: dict[str, Any] = {**options, "cache": False, "no_cpython_wrapper": True}
    kernel = numba.njit(**inner)(module.kernel)
    function = FunctionType(module.entry.__code__, {**vars(module), "kernel": kernel}, "entry")
    signature = real(Counted(numba.int64, 1), Counted(real, 1), *(Counted(real, rank) for rank in ranks))
    return numba.njit(signature, **options)(function)
