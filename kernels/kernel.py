"""Kernels: a derivation's loss and gradients as a function of arrays, checked, compiled when first needed, safe to share between threads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np

from derive.language.expression import Access
from derive.language.system import Program, System
from kernels.errors import UnboundFunction, UnknownArray, WrongType
from kernels.inputs import Array, Expected, checked, expected, spelled
from kernels.prepare import Prepared, Result, prepared
from kernels.schedule import bound
from kernels.variant import Variant, variant

DTYPES = ("float64", "float32")
LAYOUT = ["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"]


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
class Question:
    """One variant, the keys of its arguments and results, and what has been prepared for the shapes met so far."""

    variant: Variant
    learnt: tuple[str, ...]
    given: tuple[str, ...]
    starts: tuple[str, ...]
    sizes: tuple[str, ...]
    results: tuple[Result, ...]
    dtypes: list[np.dtype[Any]]
    shapes: dict[object, Prepared] = field(default_factory=dict)


@dataclass(frozen=True)
class Kernel:
    """The loss and gradients of a system in one precision; the loss of a batch is the mean of its sequences' losses.

    ``kernel(parameters, inputs)`` is (loss, {key: gradient}) for every learnt array. Shapes are the definition's, superscripts first;
    every input may have an axis for the batch in front. Results belong to the caller.
    """

    derivation: AbstractDerivation
    forward_program: Program
    program: Program
    dtype: str
    jit: bool
    table: Mapping[str, Expected]
    questions: dict[tuple[str, ...], Question] = field(default_factory=dict, repr=False)
    lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def source(self) -> str:
        """The text that computes the loss and every learnt array's gradient."""
        return self.question("gradients", *self.learnt).variant.source

    @property
    def path(self) -> Path:
        """The file that holds ``source``."""
        return self.question("gradients", *self.learnt).variant.path

    @property
    def learnt(self) -> tuple[str, ...]:
        return tuple(key for key, item in self.table.items() if item.role == "learn")

    def __call__(self, parameters: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[float, dict[str, Array]]:
        """The loss, and its gradient with respect to every learnt array."""
        return self.answer(self.questions[DEFAULT], parameters, inputs)

    def gradients(
        self, parameters: Mapping[str, Any], inputs: Mapping[str, Any], wrt: Sequence[str]
    ) -> tuple[float, dict[str, Array]]:
        """The loss, and its gradients with respect to any learnt or given arrays and starts."""
        keys = tuple(spelled(key, self.table) for key in wrt)
        loss, gradients = self.answer(self.question("gradients", *keys), parameters, inputs)
        return loss, {given: gradients[key] for given, key in zip(wrt, keys, strict=True)}

    def loss(self, parameters: Mapping[str, Any], inputs: Mapping[str, Any]) -> float:
        """The loss alone."""
        return self.answer(self.question("loss"), parameters, inputs)[0]

    def forward(
        self, parameters: Mapping[str, Any], inputs: Mapping[str, Any], names: Sequence[str]
    ) -> dict[str, Array]:
        """The values of defined arrays, batch first, then superscripts."""
        return self.answer(self.question("forward", *names), parameters, inputs)[1]

    # What is behind them ----------------------------------------------------------------------------------------------

    def question(self, kind: str, *keys: str) -> Question:
        """The variant that answers this question, made when it is first asked."""
        with self.lock:
            if (kind, *keys) not in self.questions:
                self.questions[kind, *keys] = self.compiled(kind, keys)
            return self.questions[kind, *keys]

    def compiled(self, kind: str, keys: tuple[str, ...]) -> Question:
        program = self.program if kind == "gradients" else self.forward_program
        known = self.derivation.gradients if kind == "gradients" else defined(program)
        for key in keys:
            if key not in known:
                raise UnknownArray(
                    f"there is no {'gradient for' if kind == 'gradients' else 'value'} {key}; there are {', '.join(known)}"
                )
        system = self.derivation.system
        made = variant(
            program,
            system.loss,
            [known[key] for key in keys],
            adjoints(self.derivation),
            kind,
            keys,
            system.title,
            texts(self.derivation, program),
            re.sub(r"\W+", "_", system.name or system.title).strip("_").lower() or "kernel",
            self.dtype,
            self.jit,
        )
        names = [argument.name for argument in made.inputs]
        roles = {role: tuple(n for n in names if self.table[n].role == role) for role in ("learn", "given", "start")}
        results = tuple(Result(key, known[key], program.declaration(known[key].name).superscripts) for key in keys)
        dtypes = [np.dtype(self.dtype)] * (len(roles["learn"]) + len(roles["given"]))
        shapes = {
            symbol for item in self.table.values() if not item.optional for e in item.shape for symbol in e.free_symbols
        }
        untold = tuple(size.name for size in made.sizes if size not in shapes)
        return Question(made, roles["learn"], roles["given"], roles["start"], untold, results, dtypes)

    def answer(
        self, question: Question, parameters: Mapping[str, Any], inputs: Mapping[str, Any]
    ) -> tuple[float, dict[str, Array]]:
        """Arrays of shapes met before go straight to the compiled function; all others are checked first."""
        try:
            arrays = [parameters[key] for key in question.learnt]
            arrays += [inputs[key] for key in question.given]
            shapes: list[Any] = [array.shape for array in arrays]
            known = [array.dtype for array in arrays] == question.dtypes
            for key in question.starts:
                start = inputs.get(key)
                arrays.append(start)
                if start is None:
                    shapes.append(None)
                else:
                    shapes.append(start.shape)
                    known = known and start.dtype == self.dtype
            for key in question.sizes:
                shapes.append(inputs.get(key))
            shapes.append(len(parameters))
            shapes.append(len(inputs))
            found = question.shapes.get(tuple(shapes)) if known else None
        except (KeyError, AttributeError, TypeError):
            found = None
        if found is None:
            found, arrays = self.prepare(question, parameters, inputs)
        return self.run(question, found, arrays)

    def prepare(
        self, question: Question, parameters: Mapping[str, Any], inputs: Mapping[str, Any]
    ) -> tuple[Prepared, list[Any]]:
        given = checked(self.table, parameters, inputs, np.dtype(self.dtype))
        arrays = [given.arrays.get(argument.name) for argument in question.variant.inputs]
        told = (inputs.get(key) for key in question.sizes)
        shapes = (*(None if a is None else a.shape for a in arrays), *told, len(parameters), len(inputs))
        found = question.shapes.get(shapes)
        if found is None:
            found = question.shapes[shapes] = prepared(question.variant, given, question.results, self.dtype)
        return found, arrays

    def run(self, question: Question, ready: Prepared, arrays: list[Any]) -> tuple[float, dict[str, Array]]:
        """One call of the compiled function, with a workspace that no other call has at this time."""
        for position, change in ready.changes:
            arrays[position] = change(arrays[position])
        outputs = [np.empty(shape, self.dtype) for shape in ready.shapes]
        try:
            room = ready.free.pop()
        except IndexError:
            room = ready.allocate()
        try:
            loss = question.variant.function(*ready.integers, *arrays, *room, *outputs)
        except TypeError:  # the compiled function takes contiguous, aligned, writeable arrays only
            arrays = [np.require(array, self.dtype, LAYOUT) for array in arrays]
            loss = question.variant.function(*ready.integers, *arrays, *room, *outputs)
        ready.free.append(room)
        return loss, {
            key: outputs[position] if change is None else change(outputs[position])
            for key, position, change in ready.results
        }


DEFAULT = ("default",)


def texts(derivation: AbstractDerivation, program: Program) -> dict[int, str]:
    """Every equation as a line of text by its number; starts have -1, -2 …"""
    from derive.handout.plain import plain
    from derive.notation import names_of, start_formula, text

    names = getattr(derivation, "names", None) or names_of(derivation.system)
    found = {number: text(equation, names) for number, equation in enumerate(program.equations, 1)}
    return found | {
        -number: plain(start_formula(start, program, names)) for number, start in enumerate(program.starts, 1)
    }


def defined(program: Program) -> dict[str, Access]:
    """The arrays that equations define, whole."""
    names = {equation.target.name for equation in program.equations}
    return {
        item.name: Access(item.name, tuple(span.index for span in item.superscripts))
        for item in program.declarations
        if item.name in names
    }


def adjoints(derivation: AbstractDerivation) -> dict[str, str]:
    """For each array that only the gradient program has, the array whose adjoint it is."""
    walk = getattr(derivation, "walk", None)
    found = {} if walk is None else {adjoint: name for name, adjoint in walk.names.items()}
    for key, access in derivation.gradients.items():
        found[access.name] = key.split("^")[0]
    own = {item.name for item in derivation.forward.declarations}
    for item in derivation.program.declarations:
        if item.name not in own:
            found.setdefault(item.name, re.sub(r"^(delta|grad)_", "", item.name).rstrip("_"))
    return found


def compile(
    derivation: AbstractDerivation,
    dtype: str = "float64",
    jit: bool = True,
    functions: Mapping[str, str] | None = None,
) -> Kernel:
    """The kernel of ``derivation`` computing in ``dtype``; ``functions`` says what the functions left open are.

    With ``jit=False`` the same source runs as plain Python.
    """
    if dtype not in DTYPES:
        raise WrongType(f"a kernel computes in {' or '.join(DTYPES)}, not in {dtype}")
    chosen = dict(functions or {})
    forward, program = bound(derivation.forward, chosen), bound(derivation.program, chosen)
    kernel = Kernel(derivation, forward, program, dtype, jit, expected(derivation.system.program))
    kernel.questions[DEFAULT] = kernel.question("gradients", *kernel.learnt)
    return kernel


__all__ = ["Kernel", "UnboundFunction", "compile", "replace"]
_: Callable[..., Any] = replace
