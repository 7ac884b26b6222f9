"""How a contraction with affine subscripts is computed: which indices run, how its arrays are laid out, what it costs.

    out[O(i)] (+)= Σ left[L(i)] · right[R(i)]        R_j(i) = (Σ_n slope_jn · i_n + start_j) / divisor_j on axis j

The sum is over the indices that out does not have; a term counts where every R_j is whole and inside right. Such are a
convolution, y[k, m] = Σ_{c,a} w[k, c, a] x[c, s·m + d·a − p], and both of its gradients.

Some indices *run*: vectors of neighbouring values of them are multiplied at once. On the axis of right where index u
runs, R = (α u + e) / δ. Let σ = δ / gcd(α, δ), τ = α / gcd(α, δ) and u = σ ρ + φ, 0 ≤ φ < σ. Then δ divides for all ρ
or for none, and R = τ ρ + e', which is row ρ + e' div τ of the places that leave e' mod τ when divided by τ. So right
is laid out once by these remainders, with zeros around it where the sum reaches over the edge; for every *phase* φ
there is then a product without conditions, and all its loads are of neighbours.

Either the indices of out that left does not have run (mode PRODUCT: vectors of out, one number of left for each), or
the summed ones do (mode DOT: vectors of left and right, one number of out for each), whichever takes fewer steps. The
array whose vectors are used is the *partner* of right, the other one is the *single* one. The last few running indices
may be taken as one, in the order in which right is laid out, so that few lanes are idle where rows are short: then the
partner is copied (*moved*) into that order, too, as it is when its own neighbours are not neighbours in ρ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import gcd, prod

import numpy as np

from kernels.register_block import target
from kernels.schedule.plan import COLUMN, ROW, SHARED, SUMMED

Table = np.ndarray
PRODUCT, DOT = 0, 1

COPY = 16  # what moving a vector costs, in multiply-adds of vectors; measured
LANES = 4  # what adding up the lanes of one sum costs


@dataclass(frozen=True)
class Reading:
    """Where an array is read or written: on axis j at (Σ_n slopes[j][n] · i_n + starts[j]) / divisors[j]."""

    shape: tuple[int, ...]
    slopes: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...]
    divisors: tuple[int, ...]

    @property
    def strides(self) -> tuple[int, ...]:
        """Distances of neighbours along each axis, in numbers."""
        return tuple(prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))

    def offsets(self, indices: Sequence[int], values: Table, strides: Sequence[int]) -> Table:
        """Σ over axes of stride · place, for each column of values of these indices; all divisors are 1."""
        steps = [sum(s[n] * stride for s, stride in zip(self.slopes, strides, strict=True)) for n in indices]
        return np.asarray(steps, np.int64) @ values

    def start(self, strides: Sequence[int]) -> int:
        """The offset where all indices are 0."""
        return sum(start * stride for start, stride in zip(self.starts, strides, strict=True))


@dataclass(frozen=True)
class Contraction:
    """Index n has the values 0 … extents[n] − 1, kinds[n] says where it stands; only right has divisors and edges."""

    extents: tuple[int, ...]
    kinds: tuple[str, ...]
    left: Reading
    right: Reading
    out: Reading

    def of(self, kind: str) -> list[int]:
        """The indices of this kind."""
        return [n for n, its in enumerate(self.kinds) if its == kind]

    def count(self, kind: str) -> int:
        """How many values they have together."""
        return prod(self.extents[n] for n in self.of(kind))

    def values(self, indices: Sequence[int]) -> Table:
        """All their values, a column for each combination."""
        return combinations([self.extents[n] for n in indices])


def combinations(extents: Sequence[int]) -> Table:
    """All indices of an array of this shape, a column for each."""
    return np.indices(tuple(extents)).reshape(len(extents), prod(extents))


@dataclass(frozen=True)
class Running:
    """A running index, the axes of right and partner where it runs, and σ and τ of the module's text."""

    index: int
    extent: int
    axis: int
    partner_axis: int
    sigma: int
    tau: int

    def rows(self, phase: int) -> int:
        """How many ρ there are."""
        return -(-(self.extent - phase) // self.sigma)


def running(made: Contraction, mode: int) -> list[Running] | None:
    """The indices that run in this mode, in the order of the partner's axes; None if they cannot."""
    right, partner = made.right, made.out if mode == PRODUCT else made.left
    found: list[Running] = []
    for n in made.of(COLUMN if mode == PRODUCT else SUMMED):
        axes = [axis for axis, slopes in enumerate(right.slopes) if slopes[n]]
        places = [axis for axis, slopes in enumerate(partner.slopes) if slopes[n]]
        if len(axes) != 1 or len(places) != 1:
            return None
        ((axis,), (place,)) = axes, places
        alone = sum(map(bool, partner.slopes[place])) == 1 and not any(right.slopes[axis][m] for m in made.of(SHARED))
        if right.slopes[axis][n] < 0 or partner.slopes[place][n] != 1 or not alone:
            return None
        common = gcd(right.slopes[axis][n], right.divisors[axis])
        sigma, tau = right.divisors[axis] // common, right.slopes[axis][n] // common
        found.append(Running(n, made.extents[n], axis, place, sigma, tau))
    if not found or len({item.axis for item in found}) < len(found):
        return None
    return sorted(found, key=lambda item: item.partner_axis)


# Layouts --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """How an array is laid out: distances along axes that do not run; per running index its axis, its remainders,
    and the distances of remainders and of rows; the first row; how many numbers there are."""

    strides: tuple[int, ...]
    axes: tuple[int, ...]
    moduli: tuple[int, ...]
    phase: tuple[int, ...]
    row: tuple[int, ...]
    first: tuple[int, ...]
    size: int

    def places(self, j: int, values: Table) -> Table:
        """Where running index j of this layout has these values."""
        return values % self.moduli[j] * self.phase[j] + (values // self.moduli[j] - self.first[j]) * self.row[j]

    def copy_tables(self, shape: Sequence[int]) -> list[Table]:
        """For each axis of the array, where its places go: the offset of an entry is the sum over its axes."""
        tables = [np.arange(extent) * stride for extent, stride in zip(shape, self.strides, strict=True)]
        for j, axis in enumerate(self.axes):
            tables[axis] = self.places(j, np.arange(shape[axis]))
        return tables


def laid_out(
    shape: Sequence[int],
    axes: Sequence[int],
    moduli: Sequence[int],
    ends: Sequence[tuple[int, int]],
    row: Sequence[int],
    plane: int,
    line: int,
) -> Layout:
    """Axes that do not run outermost, then remainders, then a plane of rows first … last of ``ends``."""
    phase = [plane * prod(moduli[j + 1 :]) for j in range(len(moduli))]
    outer = plane * prod(moduli)
    if outer > line:  # an odd number of cache lines: at multiples of 4096 bytes, planes would fight for the same few
        outer = (outer + line - 1) // line // 2 * 2 * line + line
    strides = [0] * len(shape)
    for axis in reversed([axis for axis in range(len(shape)) if axis not in axes]):
        strides[axis] = outer
        outer *= shape[axis]
    first = tuple(first for first, _ in ends)
    return Layout(tuple(strides), tuple(axes), tuple(moduli), tuple(phase), tuple(row), first, outer)


def strides_of(counts: Sequence[int]) -> list[int]:
    """Distances of neighbours along each axis of an array of this shape."""
    return [prod(counts[j + 1 :]) for j in range(len(counts))]


# One way to compute it ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Phase:
    """The terms of one φ: which of the values of the other indices count, and e' for each running index."""

    phi: tuple[int, ...]
    counts: tuple[int, ...]
    terms: Table
    shifts: tuple[Table, ...]


@dataclass(frozen=True)
class Way:
    """A mode; what runs in it, the values of the other indices of right, their phases, and the layout of right."""

    made: Contraction
    mode: int
    runs: tuple[Running, ...]
    others: tuple[int, ...]
    values: Table
    phases: tuple[Phase, ...]
    layout: Layout

    @property
    def partner(self) -> Reading:
        return self.made.out if self.mode == PRODUCT else self.made.left

    @property
    def single(self) -> Reading:
        return self.made.left if self.mode == PRODUCT else self.made.out

    def is_direct(self) -> bool:
        """True if vectors of the partner are neighbours where it stands."""
        last = self.runs[-1]
        return last.sigma == 1 and last.partner_axis == len(self.partner.shape) - 1

    def may_move(self) -> bool:
        """True if the running indices take all places on the partner's axes."""
        axes = [(item.partner_axis, item.extent) for item in self.runs]
        return all(self.partner.starts[axis] == 0 and self.partner.shape[axis] == extent for axis, extent in axes)

    def steps(self, moved: bool, flat: int, lanes: int) -> float:
        """What it costs, in multiply-adds of vectors."""
        rows = self.made.count(ROW)
        total = moved * COPY * prod(self.partner.shape) / lanes / self.made.count(SHARED)
        for phase in self.phases:
            *lead, _ = phase.counts[: len(phase.counts) - flat + 1]
            vectors = prod(lead) * -(-length(phase.counts, self.layout.row, flat) // lanes)
            total += rows * phase.terms.shape[1] * (vectors + LANES * (self.mode == DOT))
        return total


def way(made: Contraction, mode: int, line: int) -> Way | None:
    """How to compute it in this mode, if that is possible; ``line`` is how many numbers a cache line holds."""
    runs, right = running(made, mode), made.right
    if runs is None:
        return None
    others = made.of(SUMMED if mode == PRODUCT else COLUMN)
    values = made.values(others)
    numerators = [
        start + np.asarray([slopes[n] for n in others], np.int64) @ values
        for slopes, start in zip(right.slopes, right.starts, strict=True)
    ]
    inside = np.ones(values.shape[1], bool)
    for axis in set(range(len(right.shape))) - {item.axis for item in runs}:
        place, rest = np.divmod(numerators[axis], right.divisors[axis])
        shared = [right.slopes[axis][n] * (made.extents[n] - 1) for n in made.of(SHARED)]
        below, above = (sum(reach for reach in shared if reach * sign > 0) for sign in (-1, 1))
        inside &= (rest == 0) & (place + below >= 0) & (place + above < right.shape[axis])
    phases: list[Phase] = []
    for phi in product(*(range(min(item.sigma, item.extent)) for item in runs)):
        counts = tuple(item.rows(first) for item, first in zip(runs, phi, strict=True))
        good, shifts = inside.copy(), []
        for item, first in zip(runs, phi, strict=True):
            shift, rest = np.divmod(
                numerators[item.axis] + right.slopes[item.axis][item.index] * first, right.divisors[item.axis]
            )
            good &= rest == 0
            shifts.append(shift)
        phases.append(Phase(phi, counts, values[:, good], tuple(shift[good] for shift in shifts)))
    ends: list[tuple[int, int]] = []
    for j, item in enumerate(runs):
        first, last = 0, (right.shape[item.axis] - 1) // item.tau
        for phase in phases:
            rows = phase.shifts[j] // item.tau
            if rows.size:
                first, last = min(first, int(rows.min())), max(last, int(rows.max()) + phase.counts[j] - 1)
        ends.append((first, last))
    counts = [last - first + 1 for first, last in ends]
    axes, moduli = [item.axis for item in runs], [item.tau for item in runs]
    layout = laid_out(right.shape, axes, moduli, ends, strides_of(counts), prod(counts), line)
    return Way(made, mode, tuple(runs), tuple(others), values, tuple(phases), layout)


def length(counts: Sequence[int], rows: Sequence[int], flat: int) -> int:
    """From the first to the last place of the last ``flat`` running indices."""
    return 1 + sum((count - 1) * row for count, row in zip(counts[-flat:], rows[-flat:], strict=True))


def ways(made: Contraction, line: int, lanes: int) -> list[tuple[float, Way, bool, int]]:
    """All ways to compute it: what each costs, whether it moves the partner, how many indices it takes as one."""
    found = []
    for found_way in (way(made, mode, line) for mode in (PRODUCT, DOT)):
        if found_way is None:
            continue
        # Without masked loads of its own, a processor reads left where lanes that do not count are zeros.
        masked = found_way.mode == PRODUCT or target().width > 16
        choices = [(False, 1)] if found_way.is_direct() and masked else []
        choices += [(True, flat + 1) for flat in range(len(found_way.runs))] if found_way.may_move() else []
        found += [(found_way.steps(moved, flat, lanes), found_way, moved, flat) for moved, flat in choices]
    return found
