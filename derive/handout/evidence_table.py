"""Evidence records as a table that every writer can set."""

from __future__ import annotations

import math

from ..evidence import Evidence
from .blocks import EvidenceTable, Inline, Inlines, Table
from .formula import Numeral, Row, row, sup

HEADER: tuple[Inlines, ...] = (("Claim",), ("Witness",), ("Sizes",), ("Points",), ("Error",), ("Tolerance",))


def as_table(block: EvidenceTable) -> Table:
    """One row a record: what was compared, with what, at which sizes, at how many points, and the two errors."""
    rows: list[tuple[Inlines, ...]] = []
    claim = ""
    for record in block.records:
        rows.append(_row(record, record.claim != claim))
        claim = record.claim
    return Table(HEADER, tuple(rows), block.caption, block.id, "lllrrr")


def _row(record: Evidence, first: bool) -> tuple[Inlines, ...]:
    sizes = ", ".join(f"{name}={value}" for name, value in record.sizes)
    claim = (record.claim,) if first else ()
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
