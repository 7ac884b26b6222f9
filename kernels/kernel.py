"""Kernels: the loss and gradients of a derivation as functions of arrays, checked, compiled once, shared by threads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from derive.handout.plain import plain
from derive.language.expression import Access
from derive.language.system import Program
from derive.notation import Names, start_formula, text
from kernels import threads
from kernels.errors import UnknownArray, WrongType
from kernels.inputs import Array, Expected, checked, expected, spelled
from kernels.prepare import Lookup, Prepared, Result, lookup, prepared
from kernels.schedule import Work, bound
from kernels.variant import Variant, Wording, variant

if TYPE_CHECKING:
    from derive.derivation import Derivation

DTYPES = ("float64", "float32")
SENTENCES = {
    "gradients": "The loss, and its gradients with respect to {}.",
    "loss": "The loss.",
    "forward": "The loss, and the values of {}.",
}
"""What a variant computes, by the kind of question it answers."""

Answer = tuple[float, dict[str, Array]]

NOT_THESE = (KeyError, ValueError, AttributeError, TypeError)
"""What happens where a call is not like the one it is taken for."""


@dataclass(frozen=True)
class Question:
    """A variant, what looks up its arguments, and what has been prepared for the shapes met so far.

    Behind the arguments that they find come the ``starts``, which are optional. ``count`` parameters are learnt; where
    the variant ``reads_all`` arrays that callers must give, it checks their shapes itself, and ``latest`` is the one
    that was prepared for the latest call.
    """

    kind: str
    variant: Variant
    learnt: Lookup
    given: Lookup
    count: int
    reads_all: bool
    starts: tuple[str, ...]
    results: tuple[Result, ...]
    real: np.dtype[Any]
    shapes: dict[object, Prepared] = field(default_factory=dict)
    latest: list[Prepared] = field(default_factory=list)


@dataclass(frozen=True)
class Kernel:
    """The loss and gradients of a system in one precision; the loss of a batch is the mean of its sequences' losses.

    ``kernel(parameters, inputs)`` is (loss, {key: gradient}) for every learnt array. Shapes are the definition's, steps
    first; every input may have an axis for the batch in front. Results belong to the caller. ``default`` answers the
    call itself; other questions are compiled when they are first asked.
    """

    derivation: Derivation
    dtype: str
    jit: bool
    threads: int
    forward_program: Program
    program: Program
    table: Mapping[str, Expected]
    default: Question
    questions: dict[tuple[str, ...], Question]
    lock: Lock

    @property
    def source(self) -> str:
        """The text that computes the loss and every learnt array's gradient, or every given one's if none is learnt."""
        return self.shown.variant.source

    @property
    def learnt(self) -> tuple[str, ...]:
        """The keys of the parameters."""
        return tuple(key for key, item in self.table.items() if item.role == "learn")

    @property
    def path(self) -> Path:
        """The file that holds ``source``."""
        return self.shown.variant.path

    @property
    def shown(self) -> Question:
        """The question that ``source`` answers."""
        given = tuple(key for key, item in self.table.items() if item.role == "given")
        return self.default if self.learnt else self.question("gradients", *given)

    def __call__(self, parameters: Mapping[str, Any], inputs: Mapping[str, Any]) -> Answer:
        """The loss, and its gradient with respect to every learnt array."""
        return self.answer(self.default, parameters, inputs)

    def gradients(
        self, parameters: Mapping[str, Any], inputs: Mapping[str, Any], wrt: Sequence[str]
    ) -> dict[str, Array]:
        """Gradients with respect to any learnt or given arrays and starts (``"h^0"`` or ``"h0"``), by key."""
        known = self.questions.get(("gradients", *wrt))
        if known is not None:  # asked before in the definition's own spelling
            return self.answer(known, parameters, inputs)[1]
        keys = tuple(spelled(key, self.table) for key in wrt)
        gradients = self.answer(self.question("gradients", *keys), parameters, inputs)[1]
        return {asked: gradients[key] for asked, key in zip(wrt, keys, strict=True)}

    def loss(self, parameters: Mapping[str, Any], inputs: Mapping[str, Any]) -> float:
        """The loss alone."""
        return self.answer(self.question("loss"), parameters, inputs)[0]

    def forward(
        self, parameters: Mapping[str, Any], inputs: Mapping[str, Any], names: Sequence[str]
    ) -> dict[str, Array]:
        """The values of defined arrays: the batch first, then the declared steps."""
        return self.answer(self.question("forward", *names), parameters, inputs)[1]

    # What is behind them ----------------------------------------------------------------------------------------------

    def question(self, kind: str, *keys: str) -> Question:
        """The variant that answers this question, made when it is first asked."""
        with self.lock:
            if (kind, *keys) not in self.questions:
                program = self.program if kind == "gradients" else self.forward_program
                self.questions[kind, *keys] = asked(
                    self.derivation, program, self.table, kind, keys, self.dtype, self.jit
                )
            return self.questions[kind, *keys]

    def answer(
        self, question: Question, parameters: Mapping[str, Any], inputs: Mapping[str, Any], *, whole: bool = False
    ) -> Answer:
        """Arrays as in the latest call go straight to the function; what it refuses is looked up, then checked.

        A ``whole`` batch is not split among threads.
        """
        try:
            arrays = [*question.learnt(parameters), *question.given(inputs)]
            if whole or self.threads == 1:
                (latest,) = question.latest
                as_many = len(parameters) == question.count and len(inputs) == latest.count
                if as_many and (latest.sizes is None or latest.sizes(inputs) == latest.told):
                    return self.run(question, latest, arrays, parameters, inputs, whole)
        except NOT_THESE:
            pass
        try:
            arrays = [*question.learnt(parameters), *question.given(inputs)]
            found = question.shapes[key_of(parameters, inputs)]
            answer = self.run(question, found, arrays, parameters, inputs, whole)
        except NOT_THESE:  # what is wrong, if anything, is said below
            pass
        else:
            question.latest[:] = [found] * question.reads_all
            return answer
        given = checked(self.program, self.table, parameters, inputs, np.dtype(self.dtype))
        known = [{spelled(key, self.table): its for key, its in values.items()} for values in (parameters, inputs)]
        known = [{key: given.arrays.get(key, its) for key, its in values.items()} for values in known]
        key = key_of(*known)
        found = question.shapes.get(key)
        if found is None:
            found = prepared(question.variant, given, question.results, self.dtype, known[1])
            question.shapes[key] = found
        arrays = [*question.learnt(known[0]), *question.given(known[1])]
        return self.run(question, found, arrays, known[0], known[1], whole)

    def run(
        self,
        question: Question,
        ready: Prepared,
        arrays: list[Any],
        parameters: Mapping[str, Any],
        inputs: Mapping[str, Any],
        whole: bool,
    ) -> Answer:
        """One call of the function, in a room that no other call has at this time; or one call for each thread."""
        if self.threads > 1 and not whole and ready.work >= threads.ENOUGH and ready.batch > 1:
            one_piece = partial(self.answer, question, parameters, whole=True)
            parts = threads.split(one_piece, inputs, ready.batched, ready.batch, min(self.threads, ready.batch))
            return threads.joined(parts, ready.separate, question.kind == "gradients")
        for key in question.starts:
            arrays.append(inputs.get(key))  # noqa: PERF401, there are few
        for position, change in ready.changes:
            arrays[position] = change(arrays[position])
        outputs: dict[str, Array] = {}
        for name, shape in ready.outputs:
            outputs[name] = np.empty(shape, question.real)
        try:
            room = ready.free.pop()
        except IndexError:
            room = ready.allocate()
        function = question.variant.function
        try:
            loss = function(ready.numbers, room, *arrays, *outputs.values())
        except TypeError:  # functions take arrays that are contiguous, aligned and writeable
            if any(array.dtype != question.real for array in arrays):
                raise
            arrays = [np.require(array, question.real, ["C", "A", "W"]) for array in arrays]
            loss = function(ready.numbers, room, *arrays, *outputs.values())
        finally:
            ready.free.append(room)
        if not ready.results:
            return loss, outputs
        return loss, {
            key: outputs[name] if change is None else change(outputs[name]) for key, name, change in ready.results
        }


def key_of(parameters: Mapping[str, Any], inputs: Mapping[str, Any]) -> object:
    """What decides how a call is prepared: the names of all that is given, shapes of arrays, values of sizes."""
    given = (*parameters.values(), *inputs.values())
    return (*parameters, *inputs), tuple([getattr(value, "shape", value) for value in given])


def asked(
    derivation: Derivation,
    program: Program,
    table: Mapping[str, Expected],
    kind: str,
    keys: tuple[str, ...],
    dtype: str,
    jit: bool,
) -> Question:
    """The variant of ``program`` that answers a question of this kind about ``keys``."""
    found = derivation.gradients if kind == "gradients" else defined(program)
    for key in keys:
        if key not in found:
            what = "gradient with respect to" if kind == "gradients" else "defined array"
            raise UnknownArray(f"there is no {what} {key}; there are {', '.join(found)}")
    system = derivation.system
    outputs = (Access(system.loss), *(found[key] for key in keys))
    wording = Wording(system.title, texts(program, derivation.names), SENTENCES[kind].format(", ".join(keys)))
    stem = re.sub(r"\W+", "_", system.name or system.title).strip("_").lower() or "kernel"
    made = variant(Work(program, outputs, adjoints(derivation), kind == "gradients"), wording, stem, dtype, jit)
    role = {argument.name: table[argument.name].role for argument in made.inputs}
    learnt, given, starts = (
        tuple(name for name, its in role.items() if its == wanted) for wanted in ("learn", "given", "start")
    )
    results = tuple(Result(key, found[key], program.declaration(found[key].name).superscripts) for key in keys)
    needed = sum(item.role in ("learn", "given") for item in table.values())
    reads_all = needed == len(learnt) + len(given)
    return Question(kind, made, lookup(learnt), lookup(given), len(learnt), reads_all, starts, results, np.dtype(dtype))


def adjoints(derivation: Derivation) -> dict[str, str]:
    """For each array that only the gradient program has, the array whose adjoint it is."""
    inner = {adjoint: name for name, adjoint in derivation.walk.names.items()}
    return inner | {access.name: key.partition("^")[0] for key, access in derivation.gradients.items()}


def defined(program: Program) -> dict[str, Access]:
    """The arrays that equations define, whole."""
    names = {equation.target.name for equation in program.equations}
    steps = {item.name: tuple(span.index for span in item.superscripts) for item in program.declarations}
    return {name: Access(name, at) for name, at in steps.items() if name in names}


def texts(program: Program, names: Names) -> dict[int, str]:
    """Every equation as a line of text by its number; starts have -1, -2 …"""
    equations = {number: text(equation, names) for number, equation in enumerate(program.equations, 1)}
    starts = {-number: plain(start_formula(start, program, names)) for number, start in enumerate(program.starts, 1)}
    return equations | starts


def compile(
    derivation: Derivation,
    dtype: str = "float64",
    jit: bool = True,
    functions: Mapping[str, str] | None = None,
    threads: int = 1,
) -> Kernel:
    """The kernel of ``derivation`` computing in ``dtype``; ``functions`` says what the functions left open are.

    With ``jit=False`` the same source runs as plain Python. With several ``threads`` a batch with much to compute is
    split among them.
    """
    if dtype not in DTYPES:
        raise WrongType(f"a kernel computes in {' or '.join(DTYPES)}, not in {dtype}")
    chosen = dict(functions or {})
    forward, program = bound(derivation.forward, chosen), bound(derivation.program, chosen)
    table = expected(program, derivation.system.defaults)
    learnt = tuple(key for key, item in table.items() if item.role == "learn")
    default = asked(derivation, program, table, "gradients", learnt, dtype, jit)
    questions = {("gradients", *learnt): default}
    return Kernel(derivation, dtype, jit, threads, forward, program, table, default, questions, Lock())
