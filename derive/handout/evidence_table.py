"""Evidence records as a table that every writer can set."""

from __future__ import annotations

import math

from ..evidence import Evidence
from .blocks import EvidenceTable, Inline, Inlines, Table
from .formula import Numeral, Row, row, sup

HEADER: tuple[Inlines, ...] = (("Claim",), ("Witness",), ("Sizes",), ("Points",), ("Error",), ("Tolerance",))


def as_table(block: EvidenceTable) -> Table:
    """One row a record: what was compared, with what, at which sizes, at how many points, and the two errors.

    A claim, and the sizes below it, stand where they differ from those of the row above.
    """
    rows: list[tuple[Inlines, ...]] = []
    above: Evidence | None = None
    for record in block.records:
        is_new = above is None or record.claim != above.claim
        rows.append(_row(record, is_new, is_new or above is None or record.sizes != above.sizes))
        above = record
    return Table(HEADER, tuple(rows), block.caption, block.id, "lllrrr")


def _row(record: Evidence, has_claim: bool, has_sizes: bool) -> tuple[Inlines, ...]:
    sizes = ", ".join(f"{name}={value}" for name, value in record.sizes) if has_sizes else ""
    claim = (record.claim,) if has_claim else ()
    errors = (_power(record.error),), (_power(record.tolerance),)
    return claim, (record.witness,), (sizes,), (str(record.points),), *errors


def _power(number: float) -> Inline:
    r"""``2 × 10^{-16}`` with one significant digit."""
    if number == 0:
        return Row((Numeral("0"),))
    exponent = math.floor(math.log10(number))
    digit = round(number / 10.0**exponent)
    if digit == 10:
        digit, exponent = 1, exponent + 1
    if -3 < exponent < 3:
        return Row((Numeral(f"{number:.3g}"),)) if number < 1000 else Row((Numeral(str(round(number))),))
    return row(digit, "times", sup(10, exponent))
