"""Checking what a derivation says at each step: every claim against a witness that sees only the forward equations.

A derivative by an array inside the system is a derivative by a probe added to its equation; a Jacobian from an earlier
state is taken with that state given, cut from its past.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from derive.calculus.stages import free_indices
from derive.calculus.symbols import symbols_in
from derive.check_step import compare, relative_error
from derive.derivation import Derivation
from derive.evaluate import Scope, bindings, draw, gather, input_shape, integer, run, scope_at, scope_of, stacked
from derive.evaluate import value as value_of
from derive.evaluate.expressions import entry
from derive.evaluate.points import Points, integer_at
from derive.evaluate.sizes import completed
from derive.evidence import Evidence
from derive.language.expression import Access, Expression, substitute_indices
from derive.language.system import Declaration, Equation, Program, Range
from derive.trace import (
    AdjointIdentity,
    Claim,
    Counted,
    Differential,
    Equal,
    Equivalent,
    Held,
    StateDerivative,
    Step,
    TotalDerivative,
    VectorisedDerivative,
)
from kernels.verification import autodiff, complex_step
from kernels.verification.probes import contracted, cut, input_of, place_of, with_probe
from kernels.verification.report import trial_sizes

TOLERANCE = 1e-10
AUTODIFF = "autograd"
COMPLEX_STEP = "complex step"
COUNTING = "counting"
FORWARD = "forward equation"
NEIGHBOURS = "nearby inputs"
NEARBY = 1e-6
"""How far these are, beside entries of size about 1; draws keep ties further apart."""


@dataclass(frozen=True)
class _Trial:
    """One choice of sizes and inputs, with what the forward equations and the witness make of it."""

    derivation: Derivation
    sizes: dict[str, int]
    values: dict[str, Any]
    functions: dict[str, str]
    seed: int

    @property
    def forward(self) -> Program:
        """The forward stages."""
        return self.derivation.forward

    @cached_property
    def results(self) -> dict[tuple[str, tuple[int, ...]], Any]:
        """Every forward value."""
        return run(self.forward, self.sizes, self.values, functions=self.functions)

    @cached_property
    def loss_gradients(self) -> dict[str, Any]:
        """∂loss/∂array for every array and start: by the witness, a probe of zeros added to each equation."""
        program = self.forward
        probes: dict[str, Any] = {}
        for equation in self.forward.equations:
            name = equation.target.name
            if name == self.derivation.system.loss:
                continue
            program, probe = with_probe(program, equation)
            probes[name] = probe
        zeros = {probe: np.zeros(input_shape(program, probe, self.sizes)) for probe in probes.values()}
        keys = [d.name for d in self.forward.declarations if d.role != "defined"] + [s.key for s in self.forward.starts]
        wanted = [*keys, *probes.values()]
        found = autodiff.gradients(
            program, self.derivation.system.loss, self.sizes, {**self.values, **zeros}, wanted, self.functions
        )
        return {**{key: found[key] for key in keys}, **{name: found[probe] for name, probe in probes.items()}}

    def evaluated(self, value: Expression, wrt: Access, ranges: tuple[Range, ...] = ()) -> Any:
        """``value``, over the gradient program's arrays, at all times (and entries) of ``wrt`` that are not fixed.

        ``ranges`` are those of the indices in its subscripts where they are not one index an axis.
        """
        program = self.derivation.program
        declaration = program.declaration(wrt.name)
        free = [r for r, s in zip(declaration.superscripts, wrt.superscripts, strict=True) if s == r.index]
        entries = list(ranges) or _entry_ranges(wrt, declaration)
        if entries and not free:
            return self._entries(value, wrt, entries, declaration)
        target = Access("claimed", tuple(r.index for r in free), wrt.subscripts)
        declared = Declaration(target.name, "defined", declaration.shape, tuple(free))
        program = replace(
            program,
            declarations=(*program.declarations, declared),
            equations=(*program.equations, Equation(target, value, (*free, *entries))),
        )
        results = run(program, self.sizes, self.values, functions=self.functions)
        return gather(program, results, Access(target.name, target.superscripts), self.sizes)

    def _entries(self, value: Expression, wrt: Access, ranges: Sequence[Range], declaration: Declaration) -> Any:
        """``value`` put at the subscripts of ``wrt`` for every choice of their indices; NaN where none leads."""
        array = np.full(tuple(integer(extent, self.sizes) for extent in declaration.shape), np.nan)
        points = Points(self.sizes, 1).over(ranges)[0]
        at = tuple(np.broadcast_to(integer_at(position, points), points.count) for position in wrt.subscripts)
        array[at] = value_of(value, self.scope.among(points))
        return array

    def matrix(self, value: Expression, rows: int, columns: int) -> Any:
        """``value`` as a matrix with these extents; a number is 1×1, a vector a column or a row."""
        return np.reshape(value_of(value, self.scope), (rows, columns))

    @cached_property
    def scope(self) -> Scope:
        """The gradient program's values."""
        program = self.derivation.program
        results = run(program, self.sizes, self.values, functions=self.functions)
        return scope_at(program, results, self.sizes, self.functions)


def check_steps(derivation: Derivation, seed: int = 0) -> dict[str, tuple[Evidence, ...]]:
    """The evidence for every step and detail, by its id: at small distinct sizes, and where time has one step only."""
    forward = derivation.system.program
    functions = bindings(forward)
    chosen = trial_sizes(forward, seed)[:2]
    drawn = [draw(forward, seed + n, sizes, functions) for n, sizes in enumerate(chosen)]
    trials = [_Trial(derivation, *pair, functions, seed + n) for n, pair in enumerate(drawn)]
    steps = [inner for step in derivation.steps for inner in (step, *step.details)]
    return {
        step.id: tuple(_merged([record for claim in step.claims for record in _check(claim, step, trials, seed)]))
        for step in steps
    }


def _check(claim: Claim, step: Step, trials: Sequence[_Trial], seed: int) -> list[Evidence]:
    if isinstance(claim, Equal):
        return [_equal(claim, step, trials[0], seed)]
    checker, witness = _CHECKERS[type(claim)]
    records = []
    for trial in [_at(claim.at, trial) for trial in trials] if isinstance(claim, TotalDerivative) else trials:
        errors = [relative_error(found, wanted) for found, wanted in checker(claim, trial)]
        if errors:
            records.append(
                Evidence(
                    step.id,
                    witness,
                    max(errors, key=_badness),
                    TOLERANCE,
                    tuple(trial.sizes.items()),
                    len(errors),
                    trial.seed,
                )
            )
    return records


def _at(fixed: tuple[tuple[str, int], ...], trial: _Trial) -> _Trial:
    """The trial with some sizes at certain values."""
    if not fixed:
        return trial
    program = trial.derivation.system.program
    chosen = {**trial.sizes, **dict(fixed)}
    sizes = completed(program, {symbol.name: chosen[symbol.name] for symbol in program.independent})
    return replace(
        trial, **dict(zip(("sizes", "values"), draw(program, trial.seed, sizes, trial.functions), strict=True))
    )


def _entry_ranges(access: Access, declaration: Declaration) -> list[Range]:
    """The ranges of the subscripts of an entry: none for a whole array."""
    pairs = zip(access.subscripts, declaration.shape, strict=False)
    return [Range(s, sp.Integer(0), extent - 1) for s, extent in pairs if isinstance(s, sp.Symbol)]


def _badness(error: float) -> float:
    return float("inf") if np.isnan(error) else error


def _merged(records: Sequence[Evidence]) -> list[Evidence]:
    """One record for each witness: the worst error, all points counted."""
    by_witness: dict[str, list[Evidence]] = {}
    for record in records:
        by_witness.setdefault(record.witness, []).append(record)
    return [
        replace(max(group, key=lambda record: _badness(record.error)), points=sum(record.points for record in group))
        for group in by_witness.values()
    ]


def _equal(claim: Equal, step: Step, trial: _Trial, seed: int) -> Evidence:
    program = trial.derivation.program
    access = claim.left
    ranges: list[Range] = list(claim.ranges)
    if isinstance(access, Access) and not ranges:
        declaration = program.declaration(access.name)
        ranges += [r for r in declaration.superscripts if r.index in access.superscripts]
        ranges += _entry_ranges(access, declaration)
    elif not ranges:
        ranges += list(dict.fromkeys(r for d in trial.forward.declarations for r in d.superscripts))[:1]
    used = free_indices(claim.left) | free_indices(claim.right)
    kept = tuple(r for r in ranges if r.index in used)
    return compare(
        claim.left,
        claim.right,
        program,
        trial.sizes,
        seed,
        ranges=kept,
        functions=trial.functions,
        claim=step.id,
        trials=1,
    )


Pairs = list[tuple[Any, Any]]
"""(what the derivation says, what the witness says), each pair to be equal."""


def _total(claim: TotalDerivative, trial: _Trial) -> Pairs:
    forward = trial.forward
    key = claim.wrt.name
    starts = {start.access: start.key for start in forward.starts}
    key = starts.get(Access(key, claim.wrt.superscripts), key)
    wanted = trial.loss_gradients.get(key)
    if wanted is None:
        return []
    return [(trial.evaluated(claim.value, claim.wrt, claim.ranges), wanted)]


def _state(claim: StateDerivative, trial: _Trial) -> Pairs:
    pairs: Pairs = []
    for numbers in _positions(claim.of, trial, before=claim.wrt):
        of = [_moved(access, numbers) for access in claim.of]
        wrt = [_moved(access, numbers) for access in claim.wrt]
        pairs.append(_jacobian_pair(trial, of, wrt, substitute_indices(claim.value, dict(numbers))))
    return pairs


def _positions(of: Sequence[Access], trial: _Trial, before: Sequence[Access]) -> list[dict[sp.Symbol, Any]]:
    """Choices of the time indices of a claim: those of ``of`` over its range, others from before the first step on."""
    span = trial.forward.declaration(of[0].name).superscripts[0]
    low, high = integer(span.lower, trial.sizes), integer(span.upper, trial.sizes)
    inside, outside = (
        {s for access in accesses for s in symbols_in(*access.superscripts) if s.name not in trial.sizes}
        for accesses in (of, before)
    )
    choices: list[dict[sp.Symbol, Any]] = [{}]
    for symbol in sorted(inside | outside, key=str):
        places = range(low if symbol in inside else low - 1, high + 1)
        choices = [{**choice, symbol: sp.Integer(place)} for choice in choices for place in places]
    return choices[:8]


def _moved(access: Access, numbers: Mapping[sp.Symbol, Any]) -> Access:
    moved = substitute_indices(access, dict(numbers))
    assert isinstance(moved, Access)
    return moved


def _jacobian_pair(trial: _Trial, of: Sequence[Access], wrt: Sequence[Access], value: Expression) -> tuple[Any, Any]:
    """cᵀ · value and cᵀ · Jacobian for a random c."""
    newest = {access.name: integer(access.superscripts[0], trial.sizes) for access in reversed(wrt)}
    program, given = cut(trial.forward, newest, trial.results, trial.sizes)
    keys = [input_of(access, program, trial.sizes) for access in wrt]
    rng = np.random.default_rng(trial.seed)
    cotangents = [rng.normal(size=np.shape(trial.results[place_of(access, trial.sizes)])) for access in of]
    program, loss, seeds = contracted(program, of, cotangents)
    found = autodiff.gradients(
        program,
        loss,
        trial.sizes,
        {**trial.values, **given, **seeds},
        list(dict.fromkeys(k for k, _ in keys)),
        trial.functions,
    )
    wanted = np.concatenate([np.ravel(found[key] if place is None else found[key][place]) for key, place in keys])
    cotangent = np.concatenate([np.ravel(c) for c in cotangents])
    matrix = trial.matrix(value, cotangent.size, wanted.size)
    return cotangent @ matrix, wanted


def _differential(claim: Differential, trial: _Trial) -> Pairs:
    """Directions for every parameter and start; the complex step gives the change of every array at once."""
    rng = np.random.default_rng(trial.seed)
    forward = trial.forward
    keys = [d.name for d in forward.declarations if d.role == "learn"]
    keys += [start.key for start in forward.starts if start.key in trial.values]
    directions = {key: rng.normal(size=np.shape(trial.values[key])) for key in keys}
    moved = {key: trial.values[key] + 1j * complex_step.STEP * change for key, change in directions.items()}
    results = run(forward, trial.sizes, {**trial.values, **moved}, functions=trial.functions)
    changes = {(f"d_{name}", at): np.imag(array) / complex_step.STEP for (name, at), array in results.items()}
    shapes = {d.name: d.shape for d in trial.derivation.program.declarations}
    shapes |= {f"d_{name}": shape for name, shape in shapes.items()}
    scope = scope_of({**trial.results, **changes}, shapes, trial.sizes, trial.functions)
    pairs: Pairs = []
    for numbers in _positions([*claim.of], trial, before=()):
        at = [place_of(_moved(access, numbers), trial.sizes) for access in claim.of]
        wanted = np.concatenate([np.ravel(changes[f"d_{name}", place]) for name, place in at])
        pairs.append((np.ravel(value_of(substitute_indices(claim.value, dict(numbers)), scope)), wanted))
    return pairs


def _vectorised(claim: VectorisedDerivative, trial: _Trial) -> Pairs:
    rng = np.random.default_rng(trial.seed)
    cotangent = rng.normal(size=np.shape(trial.results[place_of(claim.of, trial.sizes)]))
    program, loss, seeds = contracted(trial.forward, [claim.of], [cotangent])
    found = autodiff.gradients(
        program, loss, trial.sizes, {**trial.values, **seeds}, [claim.parameter], trial.functions
    )
    wanted = np.ravel(found[claim.parameter], order="F")
    matrix = trial.matrix(claim.value, cotangent.size, wanted.size)
    return [(np.ravel(cotangent) @ matrix, wanted)]


def _equivalent(claim: Equivalent, trial: _Trial) -> Pairs:
    points = Points(trial.sizes, 1).over(claim.ranges)[0]
    left, right = np.zeros((2, points.count))
    left[points.where(claim.left)] = 1.0
    right[points.where(claim.right)] = 1.0
    return [(left, right)]


def _adjoint_identity(claim: AdjointIdentity, trial: _Trial) -> Pairs:
    """Arrays are drawn as they are read; beyond the range of what comes back, x counts as zero."""
    program, rng = trial.derivation.program, np.random.default_rng(trial.seed)
    drawn: dict[tuple[str, tuple[int, ...]], Any] = {}

    def reader(factor: float) -> Callable[..., Any]:
        def read(name: str, above: tuple[int, ...], below: tuple[Any, ...]) -> Any:
            declared = program.declaration(name)
            shape = tuple(integer(extent, trial.sizes) for extent in declared.shape)
            spans = zip(declared.superscripts, above, strict=True)
            in_time = all(integer(r.lower, trial.sizes) <= at <= integer(r.upper, trial.sizes) for r, at in spans)
            if not in_time and (name == claim.wrt or declared.zero_outside):
                return 0.0 if below or not shape else np.zeros(shape)
            array = drawn.setdefault((name, above), rng.uniform(0.3, 1.2, shape) * rng.choice([-1, 1], shape))
            array = array * (factor if name == claim.wrt else 1.0)
            if not (declared.zero_outside and below):
                return entry(array, below, name)
            inside = np.all([(i >= 0) & (i < n) for i, n in zip(below, shape, strict=True)], axis=0)
            places = (np.where(inside, i, 0) for i in below)
            return np.where(inside, array[tuple(places)], 0.0)

        return read

    shape = trial.scope.shape
    here, zero = (Scope(reader(factor), shape, trial.sizes, trial.functions) for factor in (1.0, 0.0))

    def inner(equation: Equation, other: str, from_zero: bool) -> float:
        partner = Access(other, equation.target.superscripts, equation.target.subscripts)
        whole = shape(equation.value) != ()
        points = Points(trial.sizes, 1).over(equation.ranges)[0]
        if whole:
            places = [(here.among(points).at(row), zero.among(points).at(row)) for row in range(points.count)]
        else:
            places = [(here.among(points), zero.among(points))]
        total = 0.0
        for at, at_zero in places:
            result = value_of(equation.value, at)
            if from_zero:
                result = result - value_of(equation.value, at_zero)
            products = result * value_of(partner, at)
            total += float(np.sum(products if whole else np.broadcast_to(products, points.count)))
        return total

    return [(inner(claim.backward, claim.wrt, False), inner(claim.forward, claim.cotangent, True))]


def _counted(claim: Counted, trial: _Trial) -> Pairs:
    pairs: Pairs = []
    rng = np.random.default_rng(trial.seed)
    names = sorted({symbol.name for pair in claim.inequalities for symbol in symbols_in(*pair)} - {claim.index.name})
    for _ in range(50):
        sizes = {**trial.sizes, **{name: int(rng.integers(1, 9)) for name in names}}
        found = integer(claim.value, sizes)
        counted = sum(
            all(
                integer(low, {**sizes, claim.index.name: i}) <= integer(high, {**sizes, claim.index.name: i})
                for low, high in claim.inequalities
            )
            for i in range(60)
        )
        pairs += [(float(found), float(counted))] if found > 0 or counted else []
    return pairs


def _held(claim: Held, trial: _Trial) -> Pairs:
    """The choice, at the inputs and at inputs that differ a little from them in random directions."""
    rng = np.random.default_rng(trial.seed)
    before = stacked(trial.forward, trial.results, claim.name, trial.sizes)
    pairs: Pairs = []
    for _ in range(3):
        moved = {key: array + NEARBY * rng.normal(size=np.shape(array)) for key, array in trial.values.items()}
        results = run(trial.forward, trial.sizes, moved, functions=trial.functions)
        pairs.append((stacked(trial.forward, results, claim.name, trial.sizes), before))
    return pairs


_CHECKERS: dict[type, tuple[Callable[..., Pairs], str]] = {
    TotalDerivative: (_total, AUTODIFF),
    StateDerivative: (_state, AUTODIFF),
    Differential: (_differential, COMPLEX_STEP),
    VectorisedDerivative: (_vectorised, AUTODIFF),
    Equivalent: (_equivalent, COUNTING),
    AdjointIdentity: (_adjoint_identity, FORWARD),
    Counted: (_counted, COUNTING),
    Held: (_held, NEIGHBOURS),
}
"""How each kind of claim is checked, and by which witness."""
