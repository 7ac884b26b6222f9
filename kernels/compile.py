"""Kernels: a derivation's loss and gradients as a function of arrays, checked, compiled when first needed, safe to share between threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import sympy as sp

from derive.language.expression import Access
from derive.language.system import Program, System
from kernels.errors import UnknownArray
from kernels.inputs import Array, Checked, Expected, checked, expected, spelled
from kernels.product import aligned, panel_shape
from kernels.schedule import bound
from kernels.variant import Argument, Variant, variant

Gradients = dict[str, Array]
DTYPES = ("float64", "float32")


class AbstractDerivation(Protocol):
    """What a kernel is made from: a system, its forward equations, these with the gradient equations, and where the gradients are."""

    @property
    def system(self) -> System: ...
    @property
    def forward(self) -> Program: ...
    @property
    def program(self) -> Program: ...
    @property
    def gradients(self) -> Mapping[str, Access]: ...


@dataclass(frozen=True)
class Prepared:
    """What a call with arrays of given shapes needs, found once: sizes, flags, how to view inputs, shapes of outputs, free workspaces."""

    integers: tuple[int, ...]
    changes: tuple[tuple[int, Callable[[Array], Array]], ...]
    defaults: tuple[tuple[int, Array], ...]
    shapes: tuple[tuple[int, ...], ...]
    allocate: Callable[[], list[Array]]
    free: list[list[Array]]
    results: tuple[Callable[[Array], Array], ...]


@dataclass(frozen=True)
class Question:
    """One variant, with the results of a call by key, and what has been prepared for the shapes met so far."""

    variant: Variant
    keys: tuple[str, ...]
    prepared: dict[object, Prepared] = field(default_factory=dict)


@dataclass(frozen=True)
class Kernel:
    """The loss and gradients of a system, for one precision; a batch's loss is the mean of its sequences' losses.

    ``kernel(parameters, inputs)`` is (loss, {key: gradient}) for every learnt array. Arrays may have any number of time steps; every
    input may have an axis for the batch in front. Results belong to the caller.
    """

    derivation: AbstractDerivation
    forward_program: Program
    program: Program
    dtype: str
    jit: bool
    threads: int
    table: dict[str, Expected]
    questions: dict[tuple[str, ...], Question] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock, repr=False)
