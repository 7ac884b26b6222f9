"""Evidence: what was compared, by which independent witness, and how closely it agreed."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Evidence:
    """One comparison of a formula with an independent witness.

    ``error`` is the largest relative error over ``points`` random inputs,
    ``max |a - b| / max(1, max |a|, max |b|)``; it is a pure number.
    """

    claim: str
    witness: str
    error: float
    tolerance: float
    sizes: tuple[tuple[str, int], ...] = ()
    points: int = 1
    seed: int = 0

    @property
    def passed(self) -> bool:
        """The error is a number and within the tolerance (NaN never passes)."""
        return self.error <= self.tolerance

    def as_dict(self) -> dict[str, object]:
        """The record as JSON-ready values, with the verdict."""
        return {**asdict(self), "sizes": dict(self.sizes), "passed": self.passed}
