"""One function for one question (loss, gradients, forward values): its arguments, its source, and how it is compiled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sympy as sp

from derive.language.expression import Access, Integer
from derive.language.system import Program
from kernels import cache, emit
from kernels.schedule import planned
from kernels.schedule.plan import BATCH_SIZE, Array, Plan

NUMBA_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


SENTENCES = {
    "gradients": "The loss, and its gradients with respect to {keys}.",
    "loss": "The loss.",
    "forward": "The loss, and the values of {keys}.",
}
"""What a variant computes, by the kind of question it answers."""


@dataclass(frozen=True)
class Argument:
    """One array argument: ``extents`` is its shape in sizes, the batch among them."""

    name: str
    extents: tuple[Integer, ...]


@dataclass(frozen=True)
class Variant:
    """A compiled function and what to pass to it, in this order: sizes, batch, flags of starts, inputs, room, outputs."""

    path: Path
    source: str
    sizes: tuple[sp.Symbol, ...]
    flags: tuple[str, ...]
    inputs: tuple[Argument, ...]
    room: tuple[Argument, ...]
    panels: tuple[tuple[Integer, Integer], ...]
    outputs: tuple[Argument, ...]
    arrays: dict[str, Array]
    function: Callable[..., Any]


def extents(array: Array) -> tuple[Integer, ...]:
    """The shape of an array's storage; a number takes an axis of length 1."""
    slots = tuple(sp.expand(item.upper - item.lower + 1) for item in array.slots)
    return (*slots, *([BATCH_SIZE] if array.batched else []), *array.shape) or (sp.Integer(1),)


def variant(
    program: Program,
    loss: str,
    outputs: Sequence[Access],
    adjoints: Mapping[str, str],
    kind: str,
    keys: Sequence[str],
    title: str,
    texts: Mapping[int, str],
    stem: str,
    dtype: str,
    jit: bool,
) -> Variant:
    """The function that makes the loss and ``outputs``."""
    averaged = kind == "gradients"
    plan = planned(program, [Access(loss), *outputs], adjoints, averaged)
    sentence = SENTENCES[kind].format(keys=", ".join(keys))
    kinds = {item.name: item.role for item in program.declarations}
    starts = [start for start in program.starts if start.key in plan.arrays]
    defaults = {start.key for start in starts if start.value is not None}
    wanted = list(dict.fromkeys(access.name for access in outputs))
    inputs = [name for role in ("learn", "given") for name in plan.arrays if kinds.get(name) == role]
    inputs += [start.key for start in starts]
    room = [name for name in plan.arrays if name not in inputs and name not in wanted]
    names = emit.identifiers([*plan.arrays, *plan.panels], {size.name for size in program.sizes})
    flags = [f"{names[start.key]}_given" for start in starts if start.key in defaults]
    lines = emit.body(plan, names, texts)
    sizes = tuple(size for size in program.sizes if emit.mentioned([size.name], lines))
    arguments = [size.name for size in sizes] + ["batch", *flags]
    arguments += [names[name] for name in (*inputs, *room, *plan.panels, *wanted)]
    function = emit.Function("kernel", sentence, tuple(arguments), lines, f"mean({names[loss]})")
    text = emit.source(function, header(title, texts, emit.numbers(plan.statements)), dtype)
    path = cache.stored(text, stem)
    made = cache.loaded(path).kernel
    if jit:
        made = compiled(made, dtype, len(sizes) + 1 + len(flags), plan, (*inputs, *room, *plan.panels, *wanted))
    return Variant(
        path, text, sizes, tuple(start.key for start in starts if start.key in defaults),
        tuple(Argument(name, extents(plan.arrays[name])) for name in inputs),
        tuple(Argument(name, extents(plan.arrays[name])) for name in room),
        tuple(plan.panels.values()),
        tuple(Argument(name, extents(plan.arrays[name])) for name in wanted),
        plan.arrays, made,
    )  # fmt: skip


def header(title: str, texts: Mapping[int, str], numbers: Collection[int]) -> str:
    """What the module says it computes: the title, and the equations that it carries out."""
    equations = [f"    {emit.label(number)}  {text}" for number, text in sorted(texts.items()) if number in numbers]
    return "\n".join([title, "", *equations]) if equations else title


def compiled(
    function: Callable[..., Any], dtype: str, integers: int, plan: Plan, names: Sequence[str]
) -> Callable[..., Any]:
    """``function`` compiled for whole numbers and contiguous arrays of ``dtype``."""
    import numba

    real = numba.float32 if dtype == "float32" else numba.float64
    ranks = [len(extents(plan.arrays[name])) if name in plan.arrays else 3 for name in names]
    arrays = [numba.types.Array(real, rank, "C") for rank in ranks]
    signature = real(*[numba.int64] * integers, *arrays)
    return numba.njit(signature, **NUMBA_OPTIONS)(function)
