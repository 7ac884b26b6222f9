"""Where a contraction finds its numbers: tables of offsets, made once for given sizes, as ``kernels.ways`` has chosen.

One array of whole numbers holds them all, behind a HEADER. Offsets add up: the place of a number is that of its group
(a value of the shared indices), its row, its term (a value of the indices that do not run) and its vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from kernels.register_block import CACHE_LINE, target
from kernels.schedule.plan import ROW, SHARED
from kernels.ways import DOT, PRODUCT, Contraction, Layout, Table, Way, combinations, laid_out, length, strides_of, ways

HEADER = (
    *("mode", "moved", "groups", "rows", "phases", "group_tables", "row_tables", "phase_tables"),
    *("right_copy", "right_dense", "moved_copy", "moved_dense", "packed", "moved_planes"),
    *("left_size", "right_size", "out_size", "room_size"),
)
"""What the first numbers of a table are; ``*_tables`` and ``*_copy`` say where other tables start in it, ``packed`` and
``moved_planes`` where the numbers of left and of the partner start in the room, which begins with right's."""
AT = {name: place for place, name in enumerate(HEADER)}
GROUP = ("left", "right", "out")
"""The tables of groups: offsets in these arrays, a group for each value of the shared indices."""
PHASE = ("terms", "term_tables", "vectors", "whole", "vector_tables", "packed")
"""What is said of a phase. Tables of terms: offsets in right and in the single array. Tables of vectors: offsets in
right and in the partner, and which lanes count, as bits; in mode DOT the first ``whole`` vectors have all lanes."""


class _Writer:
    """Collects tables behind a header and says where each starts."""

    def __init__(self) -> None:
        self.header: dict[str, Any] = dict.fromkeys(HEADER, 0)
        self.tables: list[Table] = []
        self.length = len(HEADER)

    def add(self, *tables: Any) -> int:
        """Where the first of these tables starts; the others follow."""
        start = self.length
        for table in tables:
            flat = np.asarray(table, np.int64).reshape(-1)
            self.tables.append(flat)
            self.length += flat.size
        return start

    def copy(self, name: str, tables: Sequence[Table]) -> None:
        """The tables of a copy, and whether entries of its last axis stay neighbours."""
        self.header[f"{name}_copy"] = self.add(*tables)
        self.header[f"{name}_dense"] = bool(np.all(np.diff(tables[-1]) == 1))

    def table(self) -> Table:
        return np.concatenate([np.array([*self.header.values()], np.int64), *self.tables])


def vectors(counts: Sequence[int], right: Sequence[int], partner: Sequence[int], flat: int, lanes: int) -> list[Table]:
    """Offsets of each vector in right and in the partner, whose rows lie so far apart, and its lanes that count."""
    lead = combinations(counts[:-flat])
    starts = np.arange(0, length(counts, right, flat), lanes)
    rest = starts[:, None] + np.arange(lanes)
    counting = np.ones(rest.shape, bool)
    for count, row in zip(counts[-flat:], right[-flat:], strict=True):
        place, rest = np.divmod(rest, row)
        counting &= place < count
    bits = counting @ (1 << np.arange(lanes))
    some = bits != 0
    return [
        np.add.outer(np.asarray(right[:-flat], np.int64) @ lead, starts[some]).reshape(-1),
        np.add.outer(np.asarray(partner[:-flat], np.int64) @ lead, starts[some]).reshape(-1),
        np.tile(bits[some], lead.shape[1]),
    ]


def partner_layout(way: Way, flat: int, line: int) -> Layout:
    """The layout of a partner that is moved: its last ``flat`` running indices as in right."""
    counts, right = way.phases[0].counts, way.layout.row
    inner = -(-length(counts, right, flat) // line) * line
    rows = [inner * stride for stride in strides_of([*counts[:-flat], 1])[:-1]] + list(right[-flat:])
    axes, moduli = [item.partner_axis for item in way.runs], [item.sigma for item in way.runs]
    plane = inner * prod(counts[:-flat])
    return laid_out(way.partner.shape, axes, moduli, [(0, 0)] * len(axes), rows, plane, line)


def places(made: Contraction, dtype: Any) -> Table:
    """The tables for numbers of this type."""
    itemsize = np.dtype(dtype).itemsize
    lanes, line = target().width // itemsize, CACHE_LINE // itemsize
    _, chosen, moved, flat = min(ways(made, line, lanes), key=lambda choice: choice[0])
    layout, partner, writer = chosen.layout, chosen.partner, _Writer()
    writer.copy("right", layout.copy_tables(made.right.shape))
    beside = partner_layout(chosen, flat, line) if moved else None
    if beside:
        writer.copy("moved", beside.copy_tables(partner.shape))

    def lines(count: int) -> int:
        return -(-count // line) * line

    groups, rows = made.count(SHARED), made.count(ROW)
    terms = sum(phase.terms.shape[1] for phase in chosen.phases)
    packed = lines(layout.size + 2 * lanes)  # a vector may begin at the last number
    moved_planes = packed + (lines(groups * rows * terms) if chosen.mode == PRODUCT else 0)
    writer.header |= {
        "mode": chosen.mode,
        "moved": moved,
        "groups": groups,
        "rows": rows,
        "phases": len(chosen.phases),
        **dict(zip(("group_tables", "row_tables"), outer_tables(chosen, beside, writer), strict=True)),
        "phase_tables": writer.add(phase_tables(chosen, beside, flat, lanes, writer)),
        "packed": packed,
        "moved_planes": moved_planes,
        **{f"{name}_size": prod(getattr(made, name).shape) for name in GROUP},
        "room_size": moved_planes + (lines(beside.size + 2 * lanes) if beside else 0),
    }
    return writer.table()


def outer_tables(chosen: Way, beside: Layout | None, writer: _Writer) -> tuple[int, int]:
    """Where the tables of groups and of rows start."""
    made, single = chosen.made, chosen.single.strides
    partner = beside.strides if beside else chosen.partner.strides
    left, out = (single, partner) if chosen.mode == PRODUCT else (partner, single)
    shared, rows = made.of(SHARED), made.of(ROW)
    groups = writer.add(
        made.left.offsets(shared, made.values(shared), left) + made.left.start(left),
        made.right.offsets(shared, made.values(shared), chosen.layout.strides),
        made.out.offsets(shared, made.values(shared), out) + made.out.start(out),
    )
    values = made.values(rows)
    return groups, writer.add(made.left.offsets(rows, values, left), made.out.offsets(rows, values, out))


def phase_tables(chosen: Way, beside: Layout | None, flat: int, lanes: int, writer: _Writer) -> list[tuple[int, ...]]:
    """What PHASE says, for each phase."""
    made, layout, single = chosen.made, chosen.layout, chosen.single
    strides = [chosen.partner.strides[item.partner_axis] for item in chosen.runs]
    rows = beside.row if beside else [step * item.sigma for step, item in zip(strides, chosen.runs, strict=True)]
    found: list[tuple[int, ...]] = []
    packed = 0
    for phase in chosen.phases:
        in_right = fixed_offsets(chosen, phase.terms)
        for j, shift in enumerate(phase.shifts):
            in_right += layout.places(j, shift)
        terms = writer.add(in_right, single.offsets(chosen.others, phase.terms, single.strides))
        from_right, from_partner, bits = vectors(phase.counts, layout.row, rows, flat, lanes)
        from_partner = from_partner + int(np.dot(phase.phi, beside.phase if beside else strides))
        whole = bits == (1 << lanes) - 1
        order = np.argsort(~whole, kind="stable") if chosen.mode == DOT else np.arange(bits.size)
        at = writer.add(from_right[order], from_partner[order], bits[order])
        found.append((in_right.size, terms, bits.size, int(whole.sum()), at, packed))
        packed += made.count(SHARED) * made.count(ROW) * in_right.size
    return found


def fixed_offsets(chosen: Way, terms: Table) -> Table:
    """Where the terms are along the axes of right on which no index runs."""
    right, strides = chosen.made.right, chosen.layout.strides
    found = np.zeros(terms.shape[1], np.int64)
    for axis in set(range(len(right.shape))) - set(chosen.layout.axes):
        slopes = np.asarray([right.slopes[axis][n] for n in chosen.others], np.int64)
        found += (slopes @ terms + right.starts[axis]) // right.divisors[axis] * strides[axis]
    return found
